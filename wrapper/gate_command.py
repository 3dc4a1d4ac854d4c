"""The commands `safety-wrapper gate` and `outcome`: ask a running wrapper by hand, or from a shell script."""

from __future__ import annotations

import time
from typing import Any, Final

import click
import httpx
import msgspec

from wrapper.gate_api import WAIT_LIMIT_SECONDS, WAIT_SECONDS
from wrapper.local_port import at, token
from wrapper.ports import SystemClock, SystemRandomness, new_id

#: Beyond the wait that was asked for, the answer has to be here within this time.
_SLACK_SECONDS: Final = 15.0
#: After a lost connection, and between answers that come at once.
_PAUSE_SECONDS: Final = 1.0
_WORDS: Final = {"allow": "Allowed", "deny": "Denied", "pending": "Not decided yet"}


class _Unusable(click.ClickException):
    """The wrapper cannot be asked: neither yes nor no."""

    exit_code = 2


@click.command()
@click.argument("tool")
@click.argument("arguments", default="{}", metavar="[JSON]")
@click.option("--agent", required=True, metavar="AGENT", help="The agent that asks, as it-admin.")
@token
@at
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=WAIT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a person's decision.",
)
@click.option("--say", metavar="TEXT", help="What the person who decides reads; default: made of tool and arguments.")
@click.option("--impact", metavar="TEXT", help="What it touches, as '47 files, 2.3 GB'.")
@click.option(
    "--expires",
    type=click.IntRange(min=1),
    metavar="SECONDS",
    help="How long people have to decide. [default: a day]",
)
@click.option("--request-id", metavar="ID", help="Go on waiting for an earlier request, instead of asking anew.")
def gate(
    tool: str,
    arguments: str,
    agent: str,
    bearer: dict[str, str],
    address: str,
    wait: float,
    say: str | None,
    impact: str | None,
    expires: int | None,
    request_id: str | None,
) -> None:
    """Ask whether an agent may run TOOL with these arguments, and say what was decided and why.

    Nothing is run: the answer is all there is. The exit code is 0 when it is allowed, 1 when it is not, and 2 when the
    wrapper cannot be asked. An approval that was answered with 0 is used up.

    \b
    safety-wrapper gate file_read '{"path": "/etc/hosts"}' --agent it-admin
    safety-wrapper gate file_delete '{"path": "/tmp/*"}' --agent it-admin --wait 600 && rm /tmp/*
    """
    try:
        tool_args = msgspec.json.decode(arguments)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise click.UsageError(f"the arguments are not JSON: {error}") from error
    body: dict[str, Any] = {
        "agentId": agent,
        "toolName": tool,
        "toolArgs": tool_args,
        "requestId": request_id or new_id(SystemClock(), SystemRandomness()),
    }
    given = {"humanReadable": say, "impact": impact, "expiresInSeconds": expires}
    body |= {name: value for name, value in given.items() if value is not None}
    answer = _decided(address, bearer, body, wait)
    _tell(answer)
    raise click.exceptions.Exit(0 if answer.get("decision") == "allow" else 1)


@click.command()
@click.argument("request_id", metavar="REQUEST_ID")
@click.argument("became", type=click.Choice(["executed", "failed", "abandoned"]), metavar="executed|failed|abandoned")
@click.option("--detail", metavar="TEXT", help="More about it, for the person who approved it.")
@token
@at
def outcome(request_id: str, became: str, detail: str | None, bearer: dict[str, str], address: str) -> None:
    """Say what became of an allowed call: the person who approved it is told."""
    with httpx.Client(base_url=address, headers=bearer, trust_env=False, timeout=_SLACK_SECONDS) as client:
        try:
            answer = client.post(f"/gate/{request_id}/outcome", json={"outcome": became, "detail": detail})
        except httpx.HTTPError as error:
            raise _Unusable(_away(address, error)) from error
    _content(answer)
    click.echo(f"Told: {became}.")


def _decided(address: str, bearer: dict[str, str], body: dict[str, Any], wait_seconds: float) -> dict[str, Any]:
    """Ask until there is a decision or the wait is over; always for the same request, so that nobody is asked twice."""
    until = time.monotonic() + wait_seconds
    heard = False
    patience = WAIT_LIMIT_SECONDS + _SLACK_SECONDS
    with httpx.Client(base_url=address, headers=bearer, trust_env=False, timeout=patience) as client:
        while True:
            left = max(until - time.monotonic(), 0.0)
            try:
                answer = _content(client.post("/gate", json=body | {"waitSeconds": min(left, WAIT_LIMIT_SECONDS)}))
                heard = True
                if answer.get("decision") != "pending" or time.monotonic() >= until:
                    return answer
            except httpx.HTTPError as error:
                # A wrapper that had heard the request may be starting again: it knows the request still.
                heard = heard or not isinstance(error, httpx.ConnectError)
                if not heard or time.monotonic() >= until:
                    raise _Unusable(_away(address, error)) from error
            time.sleep(min(_PAUSE_SECONDS, max(until - time.monotonic(), 0.0)))


def _content(answer: httpx.Response) -> dict[str, Any]:
    """What was answered; a refusal ends the command in its words."""
    try:
        content = msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise _Unusable(f"what listens at {answer.url.host}:{answer.url.port} is no Safety Wrapper") from error
    if answer.is_success:
        return content
    refusal = content.get("error")
    raise _Unusable(_shown(refusal.get("message")) if isinstance(refusal, dict) else f"HTTP {answer.status_code}")


def _away(address: str, error: httpx.HTTPError) -> str:
    return f"no Safety Wrapper answers at {address.removeprefix('http://')} ({error or type(error).__name__})"


def _tell(answer: dict[str, Any]) -> None:
    decision, request_id = str(answer.get("decision")), answer.get("requestId")
    click.echo(f"{_WORDS.get(decision, decision)}: {_shown(answer.get('reason'))}.")
    click.echo(
        f"  {_shown(answer.get('toolName'))} is {answer.get('commandClass')} for {_shown(answer.get('agentId'))}."
    )
    if request_id is not None:
        click.echo(f"  Request {request_id}, to be decided until {answer.get('expiresAt')}.")
    if answer.get("outcomeExpected"):
        click.echo(f"  Say what became of it: safety-wrapper outcome {request_id} executed")


def _shown(text: Any) -> str:
    """Text from elsewhere, without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))
