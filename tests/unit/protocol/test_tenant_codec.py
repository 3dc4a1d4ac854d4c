"""Frames: what is decoded, what is ignored, what breaks the protocol."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.tenant import (
    Ack,
    ApprovalRequest,
    BadFrame,
    Command,
    FromTenant,
    Hello,
    NotAFrame,
    ToTenant,
    UnknownType,
    Void,
    encode,
    frame_type,
    from_tenant,
    to_tenant,
)
from protocol.words import CommandClass

REQUEST = {
    "type": "approvalRequest",
    "id": "0191",
    "agentId": "it-admin",
    "commandClass": "red",
    "toolName": "file_delete",
    "toolArgs": {"path": "/tmp/x", "n": 1.0},
    "argsHash": "0" * 64,
    "humanReadable": "IT Admin wants to delete /tmp/x",
}


def data(frame: dict[str, Any]) -> bytes:
    return json.dumps(frame).encode()


def test_frames_are_tagged_and_camel_case():
    assert msgspec.json.decode(encode(Ack(seq=7))) == {"type": "ack", "seq": 7}
    assert msgspec.json.decode(encode(Void(seq=7))) == {"type": "void", "seq": 7}
    hello = msgspec.json.decode(encode(Hello(protocol_min=1, protocol_max=1, wrapper_version="1", boot_id="b")))
    assert {"protocolMin", "wrapperVersion", "bootId", "lastSeq"} <= hello.keys()


def test_foreign_json_travels_as_it_was_written():
    request = from_tenant.decode(data(REQUEST))
    assert isinstance(request, ApprovalRequest)
    assert request.command_class is CommandClass.RED
    assert bytes(request.tool_args) == b'{"path": "/tmp/x", "n": 1.0}'
    assert request.expires_in_seconds == 86_400


def test_unknown_fields_are_forgiven():
    assert from_tenant.decode(data({"type": "ack", "seq": 1, "mood": "good"})) == Ack(seq=1)


def test_an_unknown_type_is_named():
    with pytest.raises(UnknownType) as caught:
        from_tenant.decode(data({"type": "dance" * 100, "id": "1"}))
    assert caught.value.frame_type == ("dance" * 100)[:100]


def test_a_frame_of_the_other_direction_is_unknown():
    with pytest.raises(UnknownType):
        from_tenant.decode(data({"type": "void", "seq": 1}))
    with pytest.raises(UnknownType):
        to_tenant.decode(data({"type": "ack", "seq": 1}))


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"7", b'{"id": "1"}', b'{"type": 1}', b"\xff", b"[" * 100_000])
def test_what_is_no_frame_breaks_the_protocol(text: bytes):
    with pytest.raises(NotAFrame):
        from_tenant.decode(text)


@pytest.mark.parametrize(
    "change",
    [
        {"commandClass": "purple"},
        {"agentId": ""},
        {"humanReadable": ""},
        {"expiresInSeconds": 0},
        {"expiresInSeconds": 30 * 86400 + 1},
        {"toolName": "x" * 201},
        {"argsHash": 7},
    ],
)
def test_a_bad_field_names_the_message_so_that_it_can_be_refused(change: dict[str, Any]):
    with pytest.raises(BadFrame) as caught:
        from_tenant.decode(data(REQUEST | change))
    assert (caught.value.frame_type, caught.value.message_id) == ("approvalRequest", "0191")


@pytest.mark.parametrize("seq", [-1, 2**63, 1.5, "1", None])
def test_a_bad_number_is_a_bad_frame_without_an_id(seq: Any):
    with pytest.raises(BadFrame) as caught:
        from_tenant.decode(data({"type": "ack", "seq": seq}))
    assert caught.value.message_id is None


def test_a_command_keeps_its_payload_raw():
    frame = {
        "type": "command",
        "seq": 1,
        "id": "cmd_1",
        "commandType": "PING",
        "payload": {"a": [1]},
        "issuedAt": "2026-03-15T14:22:00Z",
        "expiresAt": "2026-03-15T14:32:00Z",
    }
    command = to_tenant.decode(data(frame))
    assert isinstance(command, Command)
    assert bytes(command.payload) == b'{"a": [1]}'
    assert msgspec.json.decode(encode(command)) == frame


@pytest.mark.parametrize("value", [{"a": [1]}, [1], "text", 7, None])
def test_a_reply_carries_any_json(value: Any):
    reply = from_tenant.decode(data({"type": "reply", "queryId": "q1", "ok": True, "data": value}))
    assert msgspec.json.decode(reply.data) == value


def test_every_frame_has_a_type_of_its_own():
    for union in (FromTenant, ToTenant):
        names = [frame_type(frame) for frame in union.__args__]
        assert len(names) == len(set(names))


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_garbage_only_ever_raises_what_is_promised(garbage: bytes):
    for codec in (from_tenant, to_tenant):
        with pytest.raises((NotAFrame, UnknownType, BadFrame)):
            codec.decode(garbage)
