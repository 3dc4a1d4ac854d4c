"""A request's way through the app: envelope, refusals, limits, log lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import structlog
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from controlplane.api.hub import Hub
from controlplane.api.mount import HubApp
from protocol.faults import Conflict, FieldProblem, InternalError, TenantOffline, Unauthorized
from tests.unit.api.conftest import ACTOR_FAILURES, Workshop, make_app

JSON = {"Content-Type": "application/json"}


class Answered:
    """Status, headers and body of an answer."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        return self.json["error"]["code"]

    @property
    def fields(self) -> list[str]:
        return [problem["field"] for problem in self.json["error"]["details"]]


async def ask(app: HubApp, method: str, path: str, data: bytes | None = None, **headers: str) -> Answered:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await app.test_client().open(path, method=method, data=data, headers=names)
    return Answered(response.status_code, response.headers, await response.get_data())


@pytest.fixture
def thing() -> str:
    return "/api/v1/things/ord_01m84xbspcf5ha475vmhtnc6eh"


async def test_an_offset_list_is_the_array_with_its_place_in_meta(app: HubApp, workshop: Workshop) -> None:
    answer = await ask(app, "GET", "/api/v1/things?page=2&pageSize=5&search=a&colour=red&colour=blue")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json == {
        "success": True,
        "data": [{"id": "ord_x", "name": "wagon", "madeAt": "2026-03-15T10:00:00Z"}],
        "meta": {"page": 2, "pageSize": 5, "total": 1},
    }
    (query,) = workshop.seen
    assert (query.offset, query.search, query.colour) == (5, "a", ["red", "blue"])


async def test_a_cursor_list_says_where_the_next_page_begins(app: HubApp) -> None:
    answer = await ask(app, "GET", "/api/v1/things/stream")
    assert answer.json == {"success": True, "data": [1, 2], "meta": {"limit": 25, "nextCursor": None}}


async def test_a_creation_is_201_and_a_handler_may_say_200(app: HubApp) -> None:
    assert (await ask(app, "POST", "/api/v1/things", b'{"name": "wagon"}', **JSON)).status == 201
    assert (await ask(app, "POST", "/api/v1/things", b'{"name": "again"}', **JSON)).status == 200


async def test_nothing_to_say_is_null(app: HubApp, thing: str, workshop: Workshop) -> None:
    answer = await ask(app, "PATCH", thing, b'{"note": null}', **JSON)
    assert answer.body == b'{"success":true,"data":null}'
    (patch,) = workshop.seen
    assert (patch.name, patch.note) == (msgspec.UNSET, None)


async def test_path_values_headers_and_cookies(app: HubApp, thing: str) -> None:
    answer = await ask(app, "DELETE", f"{thing}/parts/7")
    assert answer.json["data"] == [7]
    assert answer.headers["X-Part"] == "7"
    assert answer.headers["Set-Cookie"] == "last part=7; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax"
    assert (await ask(app, "DELETE", f"{thing}/parts/x")).code == "NOT_FOUND"
    assert (await ask(app, "GET", "/api/v1/things/ord_1")).code == "NOT_FOUND"


async def test_every_bad_field_of_body_and_query_is_named(app: HubApp) -> None:
    body = b'{"name": "", "parts": [{"tokensInput": "x"}], "colour": 1, "madeAt": "2026-01-01T00:00:00"}'
    answer = await ask(app, "POST", "/api/v1/things", body, **JSON)
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
    assert answer.fields == ["name", "parts.0.tokensInput", "madeAt", "colour"]
    assert (await ask(app, "GET", "/api/v1/things?page=0&pageSize=101&x=")).fields == ["page", "pageSize", "x"]


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("Application/JSON", 201),
        ("application/merge-patch+json", 201),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/jsonp", 415),
        ("", 415),
    ],
)
async def test_a_body_must_say_that_it_is_json(app: HubApp, content_type: str, status: int) -> None:
    answer = await ask(app, "POST", "/api/v1/things", b'{"name": "wagon"}', Content_Type=content_type)
    assert answer.status == status
    if status == 415:
        assert answer.code == "UNSUPPORTED_MEDIA_TYPE"
        assert "application/json" in answer.json["error"]["message"]


async def test_an_empty_body_is_a_bad_field_and_no_media_type_question(app: HubApp) -> None:
    answer = await ask(app, "POST", "/api/v1/things")
    assert (answer.code, answer.fields) == ("VALIDATION_ERROR", ["body"])


async def test_form_or_json_where_both_are_taken(app: HubApp, workshop: Workshop) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await ask(app, "POST", "/api/auth/callback", b"csrfToken=a%7Cb&json=true&more=1", **form)
    assert (answer.status, answer.body, answer.headers["Location"]) == (302, b"moved", "/")
    assert answer.headers["Content-Type"] == "text/plain"
    await ask(app, "POST", "/api/auth/callback", b'{"csrfToken": "c", "more": 1}', **JSON)
    await ask(app, "POST", "/api/auth/callback")
    (first_form, _), (_, second_body), third = workshop.seen
    assert (first_form.csrf_token, first_form.json) == ("a|b", True)
    assert second_body.csrf_token == "c"
    assert third == (None, None)
    assert (await ask(app, "POST", "/api/auth/callback", b"x", Content_Type="text/plain")).status == 415
    assert (await ask(app, "POST", "/api/auth/callback", b"json=x", **form)).fields == ["csrfToken", "json"]


async def test_raw_bytes_are_as_they_came(app: HubApp, workshop: Workshop) -> None:
    assert (await ask(app, "POST", "/api/auth/hook", b"\x00\xff{")).json["data"] == 3
    assert workshop.seen == [(b"\x00\xff{", b"\x00\xff{")]


async def test_a_body_beyond_the_endpoints_limit_is_413(app: HubApp) -> None:
    assert (await ask(app, "POST", "/api/auth/hook", b"x" * 100)).status == 200
    answer = await ask(app, "POST", "/api/auth/hook", b"x" * 101)
    assert (answer.status, answer.code) == (413, "PAYLOAD_TOO_LARGE")
    answer = await ask(app, "POST", "/api/auth/hook", b"x", Content_Length="101")
    assert answer.status == 413


async def test_a_body_that_does_not_arrive_is_refused(app: HubApp, autojump_clock: MockClock) -> None:
    client = app.test_client()
    async with client.request("/api/auth/hook", method="POST") as connection:
        await connection.send(b"half")
        response = None
        with trio.fail_after(60):
            response = await connection.receive()
    assert b"did not arrive within 20 s" in response


async def test_what_is_not_there_and_what_is_not_done(app: HubApp, thing: str) -> None:
    missing = await ask(app, "GET", "/api/v1/nothing?x=1")
    assert (missing.status, missing.code, missing.json["error"]["details"]) == (404, "NOT_FOUND", [])
    wrong = await ask(app, "PUT", thing)
    assert (wrong.status, wrong.code, wrong.headers["Allow"]) == (
        405,
        "METHOD_NOT_ALLOWED",
        "GET, HEAD, OPTIONS, PATCH",
    )
    options = await ask(app, "OPTIONS", thing)
    assert (options.status, options.headers["Allow"]) == (200, "GET, HEAD, OPTIONS, PATCH")
    assert options.json["data"] == {"allow": ["GET", "HEAD", "OPTIONS", "PATCH"]}


async def test_head_is_get_without_the_body(app: HubApp, thing: str, workshop: Workshop) -> None:
    head = await ask(app, "HEAD", thing)
    assert (head.status, head.body, len(workshop.seen)) == (200, b"", 1)


async def test_a_parameter_nobody_declared_is_named(app: HubApp, thing: str) -> None:
    assert (await ask(app, "GET", f"{thing}?a=1&b=2")).fields == ["a", "b"]
    assert (await ask(app, "POST", "/api/auth/hook?a=1", b"x")).status == 200
    assert (await ask(app, "GET", "/healthz?a=1")).status == 200


async def test_every_answer_carries_the_standing_headers(app: HubApp, thing: str) -> None:
    for method, path in [("GET", thing), ("GET", "/nothing"), ("PUT", thing), ("GET", "/metrics"), ("POST", thing)]:
        headers = (await ask(app, method, path)).headers
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Request-Id"].startswith("req_")
        assert "Strict-Transport-Security" not in headers


async def test_https_is_held_on_to(workshop: Workshop, make_hub: Callable[..., Hub]) -> None:
    app = make_app(workshop, make_hub(public_url="https://hub.letsbe.biz"))
    assert "max-age=" in (await ask(app, "GET", "/healthz")).headers["Strict-Transport-Security"]


@pytest.mark.parametrize("given", ["a-b_c.1", "x" * 64])
async def test_a_sane_request_id_is_kept(app: HubApp, thing: str, given: str) -> None:
    assert (await ask(app, "GET", thing, X_Request_Id=given)).headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", 'a"b', "ä", "a,b"])
async def test_another_request_id_is_replaced(app: HubApp, thing: str, given: str) -> None:
    assert (await ask(app, "GET", thing, X_Request_Id=given)).headers["X-Request-Id"].startswith("req_")


async def test_a_fault_is_told_in_its_words_with_its_details(app: HubApp, thing: str, workshop: Workshop) -> None:
    workshop.raises = Conflict("decided already", details={"winner": {"action": "deny"}})
    answer = await ask(app, "GET", thing)
    assert (answer.status, answer.json) == (
        409,
        {
            "success": False,
            "error": {
                "code": "CONFLICT",
                "message": "decided already",
                "details": {"winner": {"action": "deny"}},
            },
        },
    )
    workshop.raises = TenantOffline("the tenant is away", retry_after_seconds=2.01)
    answer = await ask(app, "GET", thing)
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "TENANT_OFFLINE", "3")
    workshop.raises = Unauthorized("who are you?")
    assert (await ask(app, "GET", thing)).headers["WWW-Authenticate"] == "Bearer"
    workshop.raises = ExceptionGroup("a nursery", [Conflict("from a child", details=[FieldProblem("a", "b")])])
    assert (await ask(app, "GET", thing)).json["error"]["details"] == [{"field": "a", "message": "b"}]


@pytest.mark.parametrize(("error", "status", "code", "words"), ACTOR_FAILURES)
async def test_an_actor_that_does_not_answer(
    app: HubApp, thing: str, workshop: Workshop, error: BaseException, status: int, code: str, words: str
) -> None:
    workshop.raises = error
    answer = await ask(app, "GET", thing)
    assert (answer.status, answer.code) == (status, code)
    assert words in answer.json["error"]["message"]
    assert "tenant/a" not in answer.body.decode()
    if status == 503:
        assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("canary-in-the-message"),
        InternalError("canary-in-the-message"),
        ExceptionGroup("two", [Conflict("canary-in-the-message"), ValueError("x")]),
        RecursionError("canary-in-the-message"),
    ],
)
async def test_a_bug_shows_a_request_id_and_nothing_else(
    app: HubApp, thing: str, workshop: Workshop, error: BaseException
) -> None:
    workshop.raises = error
    with capture_logs() as lines:
        answer = await ask(app, "GET", thing, X_Request_Id="req-7")
    assert answer.json["error"] == {
        "code": "INTERNAL_ERROR",
        "message": "Something went wrong on our side. Quote request id req-7 to support.",
        "details": [],
    }
    assert answer.headers["X-Request-Id"] == "req-7"
    (failed, answered) = lines
    assert (failed["event"], failed["exc_info"], failed["log_level"]) == ("http.failed", error, "error")
    assert (answered["event"], answered["status"]) == ("http.answered", 500)


async def test_a_handler_that_takes_too_long_is_stopped(
    app: HubApp, thing: str, workshop: Workshop, autojump_clock: MockClock
) -> None:
    workshop.gate = trio.Event()
    began = trio.current_time()
    answer = await ask(app, "GET", thing)
    assert trio.current_time() - began == pytest.approx(30)
    assert (answer.status, answer.code) == (503, "OVERLOADED")
    assert "30 s" in answer.json["error"]["message"]


async def test_the_sixty_first_request_waits_as_long_as_it_is_told(
    app: HubApp, thing: str, mock_clock: MockClock
) -> None:
    for _ in range(60):
        assert (await ask(app, "GET", thing)).status == 200
    answer = await ask(app, "GET", thing)
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (429, "RATE_LIMITED", "1")
    assert (await ask(app, "GET", "/healthz")).status == 200  # probes are not counted
    mock_clock.jump(1)
    assert (await ask(app, "GET", thing)).status == 200
    assert (await ask(app, "GET", thing)).status == 429


async def test_behind_a_proxy_the_address_is_whom_it_names(
    workshop: Workshop, make_hub: Callable[..., Hub], thing: str
) -> None:
    app = make_app(workshop, make_hub(1, trusted_proxies=1))
    assert (await ask(app, "GET", thing, X_Forwarded_For="6.6.6.6, 1.1.1.1")).status == 200
    assert (await ask(app, "GET", thing, X_Forwarded_For="7.7.7.7, 1.1.1.1")).status == 429  # he made the first up
    assert (await ask(app, "GET", thing, X_Forwarded_For="1.1.1.2")).status == 200


async def test_the_log_tells_of_the_route_and_never_of_secrets(app: HubApp, thing: str) -> None:
    canary = "canary-4711"
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await ask(
            app,
            "GET",
            f"{thing}?token={canary}",
            Authorization=f"Bearer {canary}",
            Cookie=f"session={canary}",
            X_Request_Id="req-9",
        )
        await ask(app, "GET", f"/reset/{canary}?key={canary}")
        await ask(app, "POST", "/api/v1/things", f'{{"name": 5, "{canary}": "{canary}"}}'.encode(), **JSON)
        await ask(app, canary.upper(), thing)
    assert canary not in str(lines).lower()
    first = lines[0]
    assert {key: first[key] for key in ("event", "method", "route", "status", "caller", "request_id")} == {
        "event": "http.answered",
        "method": "GET",
        "route": "/api/v1/things/{thing_id}",
        "status": 400,
        "caller": "public",
        "request_id": "req-9",
    }
    assert first["ms"] >= 0
    assert [line["route"] for line in lines[1:]] == ["(none)", "/api/v1/things", "/api/v1/things/{thing_id}"]
    assert lines[-1]["method"] == "OTHER"


async def test_a_request_leaves_no_context_behind(app: HubApp, thing: str) -> None:
    await ask(app, "GET", thing)
    assert structlog.contextvars.get_contextvars() == {}


async def test_a_page_of_quarts_own_carries_the_same_headers_and_refusals(app: HubApp) -> None:
    @app.get("/console")
    async def console() -> str:
        return "<p>console</p>"

    page = await ask(app, "GET", "/console")
    assert (page.status, page.body) == (200, b"<p>console</p>")
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert (await ask(app, "GET", "/nowhere")).code == "NOT_FOUND"
    wrong = await ask(app, "POST", "/console")
    assert (wrong.code, set(wrong.headers["Allow"].split(", "))) == ("METHOD_NOT_ALLOWED", {"GET", "HEAD", "OPTIONS"})
    assert (await ask(app, "GET", "/healthz")).status == 200
