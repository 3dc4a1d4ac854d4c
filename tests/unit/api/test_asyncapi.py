"""The AsyncAPI document says what travels on the sockets, and is sound."""

from __future__ import annotations

import re
from typing import Any, get_args

import msgspec
from click.testing import CliRunner

from controlplane.api.asyncapi import SOCKETS, document, kinds_on
from controlplane.api.mount import HubApp
from controlplane.cli.asyncapi import command
from protocol import console, tenant
from tests.unit.api.test_mount import ask
from tests.unit.api.test_openapi import references

DESCRIBED = document(public_url="https://hub.example")


def resolve(reference: str) -> Any:
    found: Any = DESCRIBED
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def test_the_document_has_the_shape_of_asyncapi_3():
    assert DESCRIBED["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= DESCRIBED["info"].keys()
    assert DESCRIBED["servers"]["hub"] == {"host": "hub.example", "protocol": "wss"}
    assert msgspec.json.decode(msgspec.json.encode(DESCRIBED)) == DESCRIBED
    for kind in ("messages", "schemas", "securitySchemes"):
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in DESCRIBED["components"][kind])
    for reference in references(DESCRIBED):
        assert resolve(reference) is not None
    for operation in DESCRIBED["operations"].values():
        channel = operation["channel"]["$ref"]
        assert operation["action"] in {"send", "receive"}
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"])


def test_every_frame_of_every_socket_is_described_on_its_side():
    assert [socket.path for socket in SOCKETS] == [
        tenant.SOCKET_PATH,
        console.ADMIN_SOCKET_PATH,
        console.CUSTOMER_SOCKET_PATH,
    ]
    for socket in SOCKETS:
        assert resolve(f"#/channels/{socket.name}/address") == socket.path
        for end, union in (("Hears", socket.heard), ("Says", socket.said)):
            described = [
                resolve(resolve(message["$ref"])["$ref"])
                for message in DESCRIBED["operations"][f"{socket.name}{end}"]["messages"]
            ]
            frames = get_args(union)
            kinds = kinds_on(socket) if end == "Says" else []
            assert [message["name"] for message in described[len(frames) :]] == kinds
            described = described[: len(frames)]
            assert [message["name"] for message in described] == [frame.__struct_config__.tag for frame in frames]
            for message, frame in zip(described, frames, strict=True):
                schema = resolve(message["payload"]["$ref"])
                spoken = {field.encode_name for field in msgspec.structs.fields(frame)}
                assert schema["properties"].keys() == spoken | {"type"}
                assert schema["properties"]["type"]["enum"] == [message["name"]]
                assert "type" in schema["required"]


async def test_a_running_hub_serves_it(app: HubApp):
    answer = await ask(app, "GET", "/api/asyncapi.json")
    assert (answer.status, answer.json) == (200, document(public_url=app.hub.public_url))


def test_the_command_line_writes_it():
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 0
    assert msgspec.json.decode(result.stdout_bytes)["channels"].keys() == DESCRIBED["channels"].keys()
