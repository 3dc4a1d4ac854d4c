"""The request's view, the answer's setters, and the guard against forged requests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api.call import Call, Outgoing
from controlplane.api.guards import Anyone, demand_same_origin, origin_allowed
from controlplane.api.hub import Hub
from controlplane.api.incoming import Incoming, read_cookies
from protocol.faults import Forbidden


def incoming(method: str = "POST", **headers: str) -> Incoming:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Incoming(method=method, path="/x", raw_headers=raw, remote_address="10.0.0.1")


def test_headers_are_found_in_lower_case_and_repeated_ones_are_joined() -> None:
    raw = [(b"X-One", b"a"), (b"x-one", b"b"), (b"Cookie", b"a=1"), (b"cookie", b"b=2"), (b"X-Odd", b"\xe4")]
    request = Incoming(method="GET", path="/", raw_headers=raw)
    assert request.headers == {"x-one": "a, b", "cookie": "a=1; b=2", "x-odd": "ä"}
    assert request.cookies == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic abc", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("", None),
        ("abc", None),
    ],
)
def test_a_bearer_token(header: str, token: str | None) -> None:
    assert incoming(Authorization=header).bearer == token
    assert incoming().bearer is None


def test_cookies_are_read_as_nextauth_writes_them() -> None:
    header = 'next-auth.csrf-token=abc%7Cdef; a=1;a=2; q="quoted"; broken; =x; empty=; bad=%zz'
    assert read_cookies(header) == {
        "next-auth.csrf-token": "abc|def",
        "a": "1",
        "q": "quoted",
        "empty": "",
        "bad": "%zz",
    }


@given(st.text(max_size=100))
def test_no_cookie_header_is_too_odd(header: str) -> None:
    read_cookies(header)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=50))
def test_a_cookie_that_was_set_is_read_back(value: str) -> None:
    response = Outgoing()
    response.set_cookie("name", value)
    ((_, line),) = response.headers
    assert read_cookies(line.decode().partition(";")[0]) == {"name": value}


def test_a_cookie_has_its_attributes() -> None:
    response = Outgoing()
    expires = datetime(2026, 3, 15, 10, tzinfo=UTC)
    response.set_cookie("a", "b c", expires=expires, domain="letsbe.biz", secure=True, same_site="Strict")
    response.delete_cookie("c", secure=True)
    assert [line.decode() for _, line in response.headers] == [
        "a=b%20c; Path=/; Domain=letsbe.biz; Expires=Sun, 15 Mar 2026 10:00:00 GMT; Secure; HttpOnly; SameSite=Strict",
        "c=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax",
    ]


def test_a_header_is_replaced_or_added_and_never_splits_the_answer() -> None:
    response = Outgoing()
    response.set_header("X-A", "1")
    response.set_header("x-a", "2")
    response.add_header("X-A", "3")
    assert response.headers == [(b"x-a", b"2"), (b"x-a", b"3")]
    for value in ("a\r\nSet-Cookie: x=1", "a\nb", "a\0"):
        with pytest.raises(ValueError):
            response.set_header("X-A", value)


def test_the_author_of_a_call_has_its_address_and_request_id(hub: Hub) -> None:
    request = incoming()
    request.request_id = "req_1"
    author = Call(Anyone("10.0.0.1"), hub, request, Outgoing()).author
    assert (author.type, author.address, author.request_id) == ("system", "10.0.0.1", "req_1")


def test_a_request_prints_without_headers_and_query() -> None:
    request = Incoming(method="GET", path="/x", query_string=b"key=secret", raw_headers=[(b"cookie", b"secret")])
    assert "secret" not in repr(request)


def test_whom_proxies_name() -> None:
    request = incoming(X_Forwarded_For="6.6.6.6, 2.2.2.2,3.3.3.3")
    assert [request.forwarded_for(hops) for hops in range(5)] == [
        "10.0.0.1",
        "3.3.3.3",
        "2.2.2.2",
        "6.6.6.6",
        "10.0.0.1",
    ]


OWN = "https://hub.letsbe.biz"


@pytest.fixture
def public_hub(make_hub: Callable[..., Hub]) -> Hub:
    return make_hub(public_url=OWN, allowed_origins=["http://localhost:5173"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": OWN},
        {"Origin": OWN + ":443"},
        {"Origin": "HTTPS://Hub.LetsBe.biz"},
        {"Origin": "http://localhost:5173", "Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
        {},
    ],
)
def test_own_pages_may_write(public_hub: Hub, headers: dict[str, str]) -> None:
    demand_same_origin(incoming(**headers), public_hub)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "Sec_Fetch_Site": "same-origin"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://hub.letsbe.biz"},
        {"Origin": "https://hub.letsbe.biz.evil.example"},
        {"Origin": "https://hub.letsbe.biz:8443"},
        {"Origin": "https://hub.letsbe.biz@evil.example"},
        {"Origin": "https://sub.hub.letsbe.biz"},
        {"Origin": "https://[::1"},
        {"Origin": "https://hub.letsbe.biz:x"},
        {"Origin": "file://hub.letsbe.biz"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "what"},
    ],
)
def test_foreign_pages_may_look_and_not_write(public_hub: Hub, headers: dict[str, str]) -> None:
    for method in ("POST", "PATCH", "PUT", "DELETE", "ODD"):
        with pytest.raises(Forbidden):
            demand_same_origin(incoming(method, **headers), public_hub)
    for method in ("GET", "HEAD", "OPTIONS"):
        demand_same_origin(incoming(method, **headers), public_hub)


def test_two_origins_in_one_request_are_none(public_hub: Hub) -> None:
    assert not origin_allowed(f"{OWN}, https://evil.example", public_hub)
