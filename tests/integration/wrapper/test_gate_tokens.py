"""Agents with tokens: each asks and tells in its own name alone, over HTTP and by hand; a bad file stops the start."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.integration.wrapper.conftest import OpenWrapper
from tests.integration.wrapper.hub_peer import HubPeer
from wrapper.agent_tokens import AgentTokensWrong, read_agent_tokens
from wrapper.gate_api import GateApi
from wrapper.local_api import LocalApi

CLI = Path(sys.executable).parent / "safety-wrapper"
ADMIN, SECRETARY = "a" * 32, "s" * 40
FILE = f'it-admin = "{ADMIN}"\nsecretary = "{SECRETARY}"\n'
CALL: dict[str, Any] = {"agentId": "it-admin", "toolName": "file_delete", "toolArgs": {"n": 1}, "waitSeconds": 0}


def written(folder: Path, text: str = FILE, mode: int = 0o600) -> Path:
    path = folder / "agent-tokens.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def gate_of(open_wrapper: OpenWrapper, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with open_wrapper() as wrapper, trio.open_nursery() as nursery:
        api = LocalApi()
        GateApi(lambda: wrapper, read_agent_tokens(written(folder))).add_to(api)
        port = await nursery.start(api.serve, "127.0.0.1", 0)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
            yield client
        nursery.cancel_scope.cancel()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_who_has_no_token_of_its_own_is_refused_and_nobody_is_asked(
    hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path
) -> None:
    async with gate_of(open_wrapper, tmp_path) as client:
        for headers in (
            {},
            bearer("x" * 32),
            {"Authorization": "Bearer"},
            {"Authorization": f"Basic {ADMIN}"},
            bearer(ADMIN + "a"),
        ):
            assert code(await client.post("/gate", json=CALL, headers=headers)) == (401, "UNAUTHORIZED")
            outcome = await client.post("/gate/none/outcome", json={"outcome": "executed"}, headers=headers)
            assert code(outcome) == (401, "UNAUTHORIZED")
        foreign = await client.post("/gate", json=CALL, headers=bearer(SECRETARY))
        assert code(foreign) == (403, "FORBIDDEN")
        assert ADMIN not in foreign.text
        assert code(await client.post("/gate", json=CALL | {"agentId": "sales"}, headers=bearer(ADMIN))) == (
            403,
            "FORBIDDEN",
        )
        await client.post("/gate", json=CALL | {"requestId": "good"}, headers=bearer(ADMIN))
        asked = await hub.message("approvalRequest")
        assert len([frame for frame in hub.frames if frame["type"] == "approvalRequest"]) == 1
        assert asked["agentId"] == "it-admin"


async def test_each_asks_and_tells_in_its_own_name(hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path) -> None:
    async with gate_of(open_wrapper, tmp_path) as client:
        asked = await client.post("/gate", json=CALL | {"requestId": "one"}, headers=bearer(ADMIN))
        assert (asked.status_code, asked.json()["decision"]) == (202, "pending")
        # Another agent can neither take the request up nor tell of it.
        taken = await client.post(
            "/gate", json=CALL | {"agentId": "secretary", "requestId": "one"}, headers=bearer(SECRETARY)
        )
        assert code(taken) == (409, "CONFLICT")
        told = {"outcome": "executed"}
        assert code(await client.post("/gate/one/outcome", json=told, headers=bearer(SECRETARY))) == (403, "FORBIDDEN")
        assert code(await client.post("/gate/one/outcome", json=told, headers=bearer(ADMIN))) == (409, "CONFLICT")
        assert code(await client.post("/gate/two/outcome", json=told, headers=bearer(ADMIN))) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (FILE, 0o604, "chmod 0600"),
        (FILE, 0o620, "chmod 0600"),
        ("", 0o600, "holds no token"),
        ('it-admin = "short"', 0o600, "the token of it-admin must be 32 to 200"),
        (f'it-admin = "{"a" * 20} {"a" * 20}"', 0o600, "visible ASCII"),
        (f"it-admin = {10**40}", 0o600, "must be 32 to 200"),
        (f'[agents]\nit-admin = "{ADMIN}"', 0o600, "the token of agents must be"),
        (f'it-admin = "{ADMIN}"\nsecretary = "{ADMIN}"', 0o600, "secretary has the token of another agent"),
        (f'it-admin = "{ADMIN}', 0o600, "is not TOML"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_and_shows_no_token(
    tmp_path: Path, text: str, mode: int, words: str
) -> None:
    with pytest.raises(AgentTokensWrong) as wrong:
        read_agent_tokens(written(tmp_path, text, mode))
    assert words in str(wrong.value)
    assert ADMIN not in str(wrong.value)


def test_a_missing_file_is_said_and_what_systemd_hands_over_is_taken(tmp_path: Path) -> None:
    with pytest.raises(AgentTokensWrong, match="No such file"):
        read_agent_tokens(tmp_path / "none.toml")
    for mode in (0o600, 0o400, 0o440):
        path = written(tmp_path, mode=mode)
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert read_agent_tokens(path).owner({"authorization": f"Bearer {SECRETARY}"}) == "secretary"
        path.chmod(0o600)


async def test_the_commands_by_hand_take_the_agents_token(open_wrapper: OpenWrapper, tmp_path: Path) -> None:
    async with gate_of(open_wrapper, tmp_path) as client:
        token = tmp_path / "token"
        token.write_text(f"{ADMIN}\n")
        address = f"127.0.0.1:{client.base_url.port}"

        async def by_hand(*words: str) -> tuple[int, str]:
            run = await trio.run_process(
                [CLI, *words, "--address", address], capture_stdout=True, capture_stderr=True, check=False
            )
            return run.returncode, (run.stdout + run.stderr).decode()

        ask = ("gate", "file_delete", "--agent", "it-admin", "--wait", "0")
        status, said = await by_hand(*ask)
        assert (status, "Authorization: Bearer" in said) == (2, True)
        status, said = await by_hand(*ask, "--token-file", str(token), "--request-id", "one")
        assert (status, said.startswith("Not decided yet")) == (1, True), said
        status, said = await by_hand("outcome", "one", "executed", "--token-file", str(token))
        assert (status, "never released" in said) == (2, True), said


def test_a_bad_file_stops_the_start(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    words = ["run", "--hub", "http://127.0.0.1:9", "--state", str(tmp_path / "state"), "--agent-tokens-file", str(path)]
    run = subprocess.run([CLI, *words], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    assert f"{path} holds no token" in run.stderr
