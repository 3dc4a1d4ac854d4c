"""Live questions: answered by id, in time or not at all, and never without an end."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio

from actors.runtime.ports import SeededRandomness, SystemIds
from actors.tenant.questions import WAITING
from controlplane.services.live_query import LiveQueries
from protocol.faults import Conflict, NotFound, Overloaded, TenantOffline
from protocol.objects import Spoken
from protocol.tenant import CloseCode, Heartbeat, Query, Reply, Unanswered
from tests.unit.actors.tenant.world import CAPABILITIES, RecordingLink, World


class Asked(Spoken):
    agent_id: str = "it-admin"


class Told(Spoken):
    word: str


class Asker:
    """Asks, and keeps what came of each question."""

    def __init__(self, world: World, nursery: trio.Nursery) -> None:
        self.world = world
        self.queries = LiveQueries(lambda _: world.ref, SystemIds(world.system.clock, SeededRandomness(1)))
        self.outcomes: list[object] = []
        self._nursery = nursery

    async def ask(self, times: int = 1, **options: Any) -> None:
        for _ in range(times):
            self._nursery.start_soon(self._one, options)
        await self.world.settle_down()

    async def _one(self, options: dict[str, Any]) -> None:
        try:
            self.outcomes.append(
                await self.queries.ask_tenant(self.world.name, "word", Asked(), Told, **options)  # type: ignore[arg-type]
            )
        except Exception as error:
            self.outcomes.append(error)


@pytest.fixture
async def asker(world: World, nursery: trio.Nursery) -> Asker:
    return Asker(world, nursery)


async def connected(world: World) -> RecordingLink:
    return await world.connect(capabilities=[*CAPABILITIES, "query"])


def answer(query: Query, word: str = "yes") -> Reply:
    return Reply(query.id, ok=True, data=msgspec.Raw(msgspec.json.encode({"word": word})))


def open_questions(world: World) -> int:
    return world.shown["questions"]


async def test_a_question_is_answered(world: World, asker: Asker) -> None:
    link = await connected(world)
    await asker.ask(deadline_seconds=5)
    [query] = link.said(Query)
    assert (query.kind, query.params, query.deadline_ms) == ("word", {"agentId": "it-admin"}, 5000)
    assert open_questions(world) == 1
    await world.say(link, answer(query))
    assert asker.outcomes == [Told("yes")]
    assert open_questions(world) == 0


async def test_answers_are_matched_by_id_whatever_their_order(world: World, asker: Asker) -> None:
    link = await connected(world)
    await asker.ask(3)
    for number, query in reversed(list(enumerate(link.said(Query)))):
        await world.say(link, answer(query, str(number)))
    assert asker.outcomes == [Told("2"), Told("1"), Told("0")]


async def test_without_a_socket_the_tenant_is_offline_at_once(world: World, asker: Asker) -> None:
    began = trio.current_time()
    await asker.ask()
    assert [type(outcome) for outcome in asker.outcomes] == [TenantOffline]
    assert trio.current_time() == began


async def test_a_wrapper_that_takes_no_questions_is_sent_none(world: World, asker: Asker) -> None:
    link = await world.connect()
    await asker.ask()
    assert link.said(Query) == []
    assert [type(outcome) for outcome in asker.outcomes] == [TenantOffline]


async def test_silence_ends_with_the_deadline_and_a_late_answer_is_dropped(world: World, asker: Asker) -> None:
    link = await connected(world)
    began = trio.current_time()
    await asker.ask(deadline_seconds=5)
    await trio.sleep(6)
    [outcome] = asker.outcomes
    assert isinstance(outcome, TenantOffline)
    assert "within 5 s" in outcome.message
    assert open_questions(world) == 0
    await world.say(link, answer(link.said(Query)[0]))
    assert (asker.outcomes, link.open) == ([outcome], True)
    assert trio.current_time() >= began + 6


@pytest.mark.parametrize("end", ["disconnect", "replaced", "revoked", "silent"])
async def test_when_the_session_ends_everybody_who_waits_is_told_at_once(world: World, asker: Asker, end: str) -> None:
    link = await connected(world)
    await asker.ask(3, deadline_seconds=600)
    began = trio.current_time()
    if end == "disconnect":
        link.close(CloseCode.DONE)
    elif end == "replaced":
        await world.connect(boot_id="another", capabilities=[*CAPABILITIES, "query"])
    elif end == "revoked":
        await world.revoke()
    else:
        await trio.sleep(91)
    await world.settle_down()
    assert [type(outcome) for outcome in asker.outcomes] == [TenantOffline] * 3
    assert all("disconnected" in str(outcome) for outcome in asker.outcomes)
    assert trio.current_time() - began < 600


async def test_a_crash_of_the_actor_leaves_nobody_waiting(world: World, asker: Asker) -> None:
    await connected(world)
    await asker.ask(deadline_seconds=600)
    world.ref.tell(object())
    await world.settle_down()
    assert [type(outcome) for outcome in asker.outcomes] == [TenantOffline]


async def test_the_questions_of_one_tenant_are_bounded(world: World, asker: Asker) -> None:
    link = await connected(world)
    await asker.ask(WAITING + 3)
    assert [type(outcome) for outcome in asker.outcomes] == [Overloaded] * 3
    assert len(link.said(Query)) == WAITING
    await world.say(link, answer(link.said(Query)[0]))
    await asker.ask()
    assert len(link.said(Query)) == WAITING + 1


async def test_whoever_stops_waiting_gives_the_place_back(world: World, asker: Asker) -> None:
    await connected(world)
    async with trio.open_nursery() as nursery:
        impatient = Asker(world, nursery)
        await impatient.ask(WAITING, deadline_seconds=600)
        nursery.cancel_scope.cancel()
    await world.settle_down()
    assert open_questions(world) == 0


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (Unanswered.NOT_CONFIGURED, Conflict),
        (Unanswered.UNKNOWN, Conflict),
        (Unanswered.NOT_FOUND, NotFound),
        (Unanswered.FAILED, TenantOffline),
        ("A_CODE_OF_THE_FUTURE", TenantOffline),
        (None, TenantOffline),
    ],
)
async def test_a_refusal_is_told_in_the_servers_words(
    world: World, asker: Asker, code: str | None, fault: type[Exception]
) -> None:
    link = await connected(world)
    await asker.ask()
    words = "no program\nis\u202e configured " + "x" * 5000
    await world.say(link, Reply(link.said(Query)[0].id, ok=False, error=words, code=code))
    [outcome] = asker.outcomes
    assert type(outcome) is fault
    assert "no program is configured x" in str(outcome).replace("  ", " ")
    assert len(str(outcome)) < 600


@pytest.mark.parametrize("data", [b"null", b'{"word": 1}', b"[]"])
async def test_an_answer_of_another_shape_is_no_answer(world: World, asker: Asker, data: bytes) -> None:
    link = await connected(world)
    await asker.ask()
    await world.say(link, Reply(link.said(Query)[0].id, ok=True, data=msgspec.Raw(data)))
    assert [type(outcome) for outcome in asker.outcomes] == [TenantOffline]


async def test_replies_to_nothing_are_nobodys(world: World) -> None:
    link = await connected(world)
    await world.say(link, Reply("never-asked", ok=True), Heartbeat("ok"))
    assert link.open
    assert world.system.crashes() == []
