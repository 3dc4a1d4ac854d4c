"""Signatures over HTTP: proven, fresh, seen once; and each way in which they are not."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from protocol.signature import BadSignature, MemoryReplayStore, Signed, sign, verify

KEY = "hk_abc_secret"
BODY = b'{"approvalId":"appr_1","action":"approve"}'
NOW = 1_767_225_600


def signed(**changes: object) -> dict[str, str]:
    fields: dict[str, object] = {
        "key": KEY,
        "body": BODY,
        "event": "approval-response",
        "message_id": "0191-a",
        "timestamp": NOW,
    }
    return sign(**(fields | changes))  # type: ignore[arg-type]


def check(headers: dict[str, str], body: bytes = BODY, **changes: object) -> Signed:
    fields: dict[str, object] = {"keys": (KEY,), "now": NOW, "replays": MemoryReplayStore()}
    return verify(headers, body, **(fields | changes))  # type: ignore[arg-type]


def test_the_headers_are_the_specification_s_and_ours():
    headers = signed()
    assert headers["X-LetsBe-Signature"] == hmac.new(KEY.encode(), BODY, hashlib.sha256).hexdigest()
    v2 = hmac.new(KEY.encode(), b"0191-a.1767225600." + BODY, hashlib.sha256).hexdigest()
    assert headers["X-LetsBe-Signature-V2"] == v2
    assert headers["X-LetsBe-Timestamp"] == "1767225600"
    assert headers["X-LetsBe-Event"] == "approval-response"
    assert headers["X-LetsBe-Id"] == "0191-a"


def test_a_good_request_passes_whatever_the_case_of_its_names():
    headers = {name.lower(): value for name, value in signed().items()}
    assert check(headers) == Signed(event="approval-response", timestamp=NOW, message_id="0191-a")


def test_either_of_two_keys_may_have_signed():
    assert check(signed(), keys=("hk_new", KEY)).message_id == "0191-a"


@pytest.mark.parametrize("age", [-300, 0, 300])
def test_a_clock_may_differ_by_five_minutes(age: int):
    assert check(signed(timestamp=NOW - age)).timestamp == NOW - age


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"X-LetsBe-Timestamp": ""}, "no timestamp"),
        ({"X-LetsBe-Timestamp": "1e9"}, "no timestamp"),
        ({"X-LetsBe-Timestamp": str(NOW - 301)}, "too old or too new"),
        ({"X-LetsBe-Timestamp": str(NOW + 301)}, "too old or too new"),
        ({"X-LetsBe-Timestamp": str(NOW - 1)}, "does not match"),
        ({"X-LetsBe-Id": "0191-b"}, "does not match"),
        ({"X-LetsBe-Id": ""}, "no id"),
        ({"X-LetsBe-Id": "a.b"}, "no id"),
        ({"X-LetsBe-Signature-V2": ""}, "does not match"),
        ({"X-LetsBe-Signature-V2": "ä" * 64}, "does not match"),
        ({"X-LetsBe-Signature-V2": "0" * 64}, "does not match"),
    ],
)
def test_a_changed_header_does_not_pass(change: dict[str, str], words: str):
    with pytest.raises(BadSignature, match=words):
        check(signed() | change)


def test_a_changed_body_or_another_key_does_not_pass():
    with pytest.raises(BadSignature, match="does not match"):
        check(signed(), BODY + b" ")
    with pytest.raises(BadSignature, match="does not match"):
        check(signed(key="hk_other"))


def test_a_request_is_taken_once_and_a_forged_one_does_not_use_up_its_id():
    replays = MemoryReplayStore()
    with pytest.raises(BadSignature, match="does not match"):
        check(signed(key="hk_other"), replays=replays)
    check(signed(), replays=replays)
    with pytest.raises(BadSignature, match="taken already"):
        check(signed(timestamp=NOW + 5), replays=replays)


def test_v1_alone_passes_only_where_it_is_accepted():
    headers = {name: value for name, value in signed().items() if name not in ("X-LetsBe-Signature-V2", "X-LetsBe-Id")}
    with pytest.raises(BadSignature, match="no V2 signature"):
        check(headers)
    assert check(headers, accept_v1=True).message_id is None
    with pytest.raises(BadSignature, match="does not match"):
        check(headers, BODY + b" ", accept_v1=True)


def test_a_bad_v2_does_not_fall_back_to_v1():
    with pytest.raises(BadSignature, match="does not match"):
        check(signed() | {"X-LetsBe-Signature-V2": "0" * 64}, accept_v1=True)


def test_the_replay_store_forgets_what_is_too_old_and_refuses_when_full():
    replays = MemoryReplayStore(limit=2)
    assert replays.first_sight("a", expires_at=NOW)
    assert replays.first_sight("b", expires_at=NOW + 100)
    with pytest.raises(BadSignature, match="too many requests"):
        replays.first_sight("c", expires_at=NOW + 200)
    assert replays.first_sight("c", expires_at=NOW + 601)
    assert replays.first_sight("a", expires_at=NOW + 1300)


@pytest.mark.parametrize("bad", ["", "a.b", "a b", "x" * 129, "a\r\nSet-Cookie: b"])
def test_an_id_or_event_that_cannot_travel_is_not_signed(bad: str):
    with pytest.raises(ValueError, match="id and event"):
        signed(message_id=bad)
    with pytest.raises(ValueError, match="id and event"):
        signed(event=bad)
