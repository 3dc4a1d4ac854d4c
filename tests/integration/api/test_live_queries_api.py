"""Live questions over HTTP: conversations and tools, of the caller's own servers, told or refused in words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import msgspec
import pytest
import trio

from actors.tenant.messages import Attach, FrameArrived
from controlplane.store.servers import prefix_of
from protocol.ids import OrderId, format_id, parse_id
from protocol.tenant import Hello, Query, Reply, Unanswered
from tests.integration.api.tenants import CAPABILITIES, Socket, Tenancy, Town, bad_fields, data, open_town, refusal
from tests.people import People

NO_AGENT = format_id("agcfg", parse_id("ord", "ord_" + "0" * 26))
Answer = Callable[[Query], Reply | None]


@pytest.fixture
async def town(people: People) -> AsyncIterator[Town]:
    async with open_town(people) as town:
        yield town


class AnsweringSocket(Socket):
    """The far end of a link, which answers what it is asked."""

    def __init__(self, tenancy: Tenancy, answer: Answer) -> None:
        super().__init__()
        self._tenancy = tenancy
        self._answer = answer
        self.asked: list[Query] = []
        self.was_asked = trio.Event()

    def send_text(self, data: bytes) -> bool:
        super().send_text(data)
        frame = self.frames[-1]
        if isinstance(frame, Query):
            self.asked.append(frame)
            self.was_asked.set()
            reply = self._answer(frame)
            if reply is not None:
                self.tenant.tell(FrameArrived(self, reply))
        return True

    @property
    def tenant(self) -> Any:
        return self._tenancy.town.people.hub.tenant(OrderId(self._tenancy.order_id))


async def connected(tenancy: Tenancy, answer: Answer) -> AnsweringSocket:
    socket = AnsweringSocket(tenancy, answer)
    hello = Hello(1, 1, "1.0", "boot", capabilities=[*CAPABILITIES, "query"])
    await socket.tenant.ask(Attach(socket, hello, prefix_of(tenancy.key) or ""))
    return socket


def says(value: Any) -> Answer:
    return lambda query: Reply(query.id, ok=True, data=msgspec.Raw(msgspec.json.encode(value)))


def refuses(code: str, error: str) -> Answer:
    return lambda query: Reply(query.id, ok=False, error=error, code=code)


async def with_secretary(town: Town) -> Tenancy:
    tenancy = await town.tenant()
    data(await town.owner.post(f"/api/v1/admin/orders/{tenancy.order_id}/agents", json={"role": "secretary"}), 201)
    return tenancy


async def url_of(maria: httpx.AsyncClient) -> str:
    [agent] = data(await maria.get("/api/v1/customer/agents?pageSize=100"))
    return f"/api/v1/customer/agents/{agent['id']}/conversations"


async def test_conversations_come_from_the_server(town: Town) -> None:
    tenancy = await with_secretary(town)
    maria = await tenancy.signed_in()
    told = {"conversations": [{"id": "main", "title": "Invoices <b>", "messageCount": 4, "x": 1}], "nextCursor": "c2"}
    socket = await connected(tenancy, says(told))
    answer = await maria.get(await url_of(maria), params={"limit": 7, "cursor": "c1"})
    [conversation] = data(answer)
    assert conversation == {
        "id": "main",
        "title": "Invoices <b>",
        "channel": None,
        "startedAt": None,
        "lastMessageAt": None,
        "messageCount": 4,
    }
    assert answer.json()["meta"] == {"limit": 7, "nextCursor": "c2"}
    [query] = socket.asked
    assert (query.kind, query.params) == ("conversations", {"agentId": "secretary", "limit": 7, "cursor": "c1"})


async def test_one_conversation_is_read(town: Town) -> None:
    tenancy = await with_secretary(town)
    maria = await tenancy.signed_in()
    socket = await connected(tenancy, says({"messages": [{"role": "user", "text": "Hello"}]}))
    answer = await maria.get(f"{await url_of(maria)}/main%20room")
    assert data(answer) == [{"role": "user", "text": "Hello", "at": None, "id": None}]
    assert answer.json()["meta"] == {"limit": 25, "nextCursor": None}
    assert socket.asked[0].params["conversationId"] == "main room"


async def test_a_server_that_is_away_is_tenant_offline(town: Town) -> None:
    maria = await (await with_secretary(town)).signed_in()
    error = refusal(await maria.get(await url_of(maria)), 503)
    assert error["code"] == "TENANT_OFFLINE"


async def test_a_server_that_leaves_in_between_is_tenant_offline(town: Town) -> None:
    tenancy = await with_secretary(town)
    maria = await tenancy.signed_in()
    socket = await connected(tenancy, lambda query: None)
    answers: list[httpx.Response] = []
    url = await url_of(maria)

    async def ask() -> None:
        answers.append(await maria.get(url))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        with trio.fail_after(20):
            await socket.was_asked.wait()
        assert data(await town.owner.delete(f"/api/v1/admin/servers/{await tenancy.server_id()}/key"))
    error = refusal(answers[0], 503)
    assert (error["code"], "disconnected" in error["message"]) == ("TENANT_OFFLINE", True)


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        (Unanswered.NOT_CONFIGURED, 409, "CONFLICT"),
        (Unanswered.NOT_FOUND, 404, "NOT_FOUND"),
        (Unanswered.FAILED, 503, "TENANT_OFFLINE"),
    ],
)
async def test_a_server_that_cannot_answer_says_why(town: Town, code: str, status: int, expected: str) -> None:
    tenancy = await with_secretary(town)
    maria = await tenancy.signed_in()
    await connected(tenancy, refuses(code, "nothing here knows of conversations"))
    error = refusal(await maria.get(await url_of(maria)), status)
    assert error["code"] == expected
    assert "nothing here knows of conversations" in error["message"]


async def test_what_is_a_strangers_is_not_found_and_not_asked_for(town: Town) -> None:
    tenancy = await with_secretary(town)
    maria = await tenancy.signed_in()
    socket = await connected(tenancy, says({"conversations": []}))
    stranger = await (await town.tenant()).signed_in()
    for url in (await url_of(maria), f"{await url_of(maria)}/main", (await url_of(maria)).replace("agcfg", "ord")):
        assert refusal(await stranger.get(url), 404)["code"] == "NOT_FOUND"
    assert refusal(await maria.get(f"/api/v1/customer/agents/{NO_AGENT}/conversations"), 404)
    for path in (await url_of(maria), "/api/v1/customer/tools"):
        assert refusal(await town.nobody.get(path), 401)["code"] == "UNAUTHORIZED"
        assert refusal(await town.owner.get(path), 403)["code"] == "FORBIDDEN"
    assert socket.asked == []


@pytest.mark.parametrize(("query", "field"), [("limit=0", "limit"), ("limit=101", "limit"), ("page=1", "page")])
async def test_a_bad_query_names_its_parameter(town: Town, query: str, field: str) -> None:
    maria = await (await with_secretary(town)).signed_in()
    assert bad_fields(await maria.get(f"{await url_of(maria)}?{query}")) == [field]


# --- tools -------------------------------------------------------------------------------------------------


async def with_tools(town: Town, *tools: str) -> Tenancy:
    tenancy = await town.tenant()
    data(await town.owner.patch(f"/api/v1/admin/orders/{tenancy.order_id}", json={"tools": list(tools)}))
    return tenancy


def states(answer: httpx.Response) -> dict[str, tuple[str, str | None]]:
    return {tool["name"]: (tool["status"], tool["detail"]) for tool in data(answer)}


async def test_tools_are_told_with_their_status(town: Town) -> None:
    tenancy = await with_tools(town, "ghost", "nextcloud", "odoo")
    told = [
        {"name": "ghost", "status": "running", "containersRunning": 2, "containersStopped": 0},
        {"name": "Nextcloud", "status": "degraded", "detail": "nextcloud-cron is stopped"},
        {"name": "traefik", "status": "running"},
    ]
    await connected(tenancy, says({"tools": told}))
    answer = await (await tenancy.signed_in()).get("/api/v1/customer/tools")
    assert states(answer) == {
        "ghost": ("running", None),
        "nextcloud": ("degraded", "nextcloud-cron is stopped"),
        "odoo": ("missing", "the server does not know of it"),
    }
    assert data(answer)[0]["orderId"] == tenancy.order_id
    assert data(answer)[0]["containersRunning"] == 2
    assert answer.json()["meta"]["total"] == 1


async def test_tools_of_a_server_that_is_away_are_shown_as_offline(town: Town) -> None:
    tenancy = await with_tools(town, "ghost")
    maria = await tenancy.signed_in()
    answer = await maria.get("/api/v1/customer/tools")
    assert states(answer) == {"ghost": ("offline", "the server is not connected")}
    await connected(tenancy, refuses(Unanswered.NOT_CONFIGURED, "no container engine is configured"))
    [(status, detail)] = states(await maria.get("/api/v1/customer/tools")).values()
    assert status == "unknown"
    assert "no container engine is configured" in (detail or "")


async def test_an_order_without_tools_is_not_asked(town: Town) -> None:
    tenancy = await town.tenant()
    socket = await connected(tenancy, says({"tools": []}))
    assert data(await (await tenancy.signed_in()).get("/api/v1/customer/tools")) == []
    assert socket.asked == []
