"""What a wrapper of the benches says, and how it connects."""

from __future__ import annotations

import json
from typing import Any

from bench.hub_process import Tenant
from protocol.canonical import args_hash
from protocol.tenant import SUBPROTOCOL

CAPABILITIES = ["command", "approvalSettled", "configOffered"]


def headers_of(tenant: Tenant) -> dict[str, str]:
    """The headers of its handshake."""
    return {"Authorization": f"Bearer {tenant.key}", "Sec-WebSocket-Protocol": SUBPROTOCOL}


def hello(boot_id: str, *, last_seq: int = 0, config_version: int | None = None) -> bytes:
    """The first frame; `last_seq` is what the wrapper has journalled, `config_version` what it has applied."""
    frame = {
        "type": "hello",
        "protocolMin": 1,
        "protocolMax": 1,
        "wrapperVersion": "bench",
        "bootId": boot_id,
        "lastSeq": last_seq,
        "capabilities": CAPABILITIES,
        **({} if config_version is None else {"configVersion": config_version}),
    }
    return json.dumps(frame).encode()


def ack(seq: int) -> bytes:
    """Everything up to `seq` is journalled."""
    return b'{"type":"ack","seq":%d}' % seq


class Question:
    """An approval request with everything but its id made once."""

    def __init__(self, tool: str, arguments: dict[str, Any], human_readable: str) -> None:
        self._frame = {
            "type": "approvalRequest",
            "agentId": "it-admin",
            "commandClass": "red",
            "toolName": tool,
            "toolArgs": arguments,
            "argsHash": args_hash(tool, arguments),
            "humanReadable": human_readable,
        }

    def asked(self, request_id: str) -> bytes:
        """The frame under an id of its own."""
        return json.dumps({**self._frame, "id": request_id}).encode()
