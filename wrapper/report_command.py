"""The command `safety-wrapper report`: usage, activity and backups told to a running wrapper from a shell script."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import click
import httpx
import msgspec

from wrapper.local_port import at, token
from wrapper.ports import SystemClock, SystemRandomness, new_id

_TIMEOUT_SECONDS: Final = 15.0
#: A wrapper that starts again is back by then.
_PAUSES_SECONDS: Final = (0.5, 1.0, 2.0, 4.0)


def _json(_context: click.Context, _option: click.Parameter, text: str | None) -> Any:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise click.BadParameter(f"is not JSON: {error}") from error


_id: Final[Callable[..., Any]] = click.option(
    "--id", "report_id", metavar="ID", help="Your own id of this report: told twice, it counts once."
)
_when: Final[Callable[..., Any]] = click.option(
    "--at", "moment", metavar="TIME", help="When it was, as 2026-03-15T02:15:00Z.  [default: now]"
)


@click.group()
def report() -> None:
    """Tell the Hub what happened on this server: usage, activity, backups.

    The running wrapper keeps the report on its disk before this command ends with 0, and the Hub hears of it now or
    when it is back. With 1 nothing was kept: the words say why.
    """


@report.command()
@click.argument("summary")
@click.option("--agent", required=True, metavar="AGENT", help="Who did it, as secretary.")
@click.option("--kind", default="note", show_default=True, metavar="WORD", help="What it was, as mail.answered.")
@click.option("--data", metavar="JSON", callback=_json, help="More about it.")
@_when
@_id
@token
@at
def activity(
    summary: str,
    agent: str,
    kind: str,
    data: Any,
    moment: str | None,
    report_id: str | None,
    bearer: dict[str, str],
    address: str,
) -> None:
    """Tell one thing that an agent did; SUMMARY is what a person reads.

    \b
    safety-wrapper report activity --agent secretary --kind mail.answered "Answered 3 mails"
    """
    body = {"agentId": agent, "kind": kind, "summary": summary, "data": data, "at": moment}
    _tell(address, "activity", report_id, body, bearer)


@report.command()
@click.argument("status", type=click.Choice(["success", "failed", "running"]))
@click.option("--started-at", metavar="TIME", help="As 2026-03-15T02:15:00Z.")
@click.option("--finished-at", metavar="TIME", help="[default: now, unless it runs]")
@click.option("--size-bytes", type=click.IntRange(min=0), metavar="BYTES", help="How large it is.")
@click.option("--detail", metavar="TEXT", help="More about it: what it holds, or why it failed.")
@_id
@at
def backup(
    status: str,
    started_at: str | None,
    finished_at: str | None,
    size_bytes: int | None,
    detail: str | None,
    report_id: str | None,
    address: str,
) -> None:
    """Tell how a backup went.

    \b
    size=$(stat -c %s /var/backups/nightly.tar)
    safety-wrapper report backup success --size-bytes "$size" --detail nightly
    """
    body = {
        "status": status,
        "startedAt": started_at,
        "finishedAt": finished_at,
        "sizeBytes": size_bytes,
        "detail": detail,
    }
    _tell(address, "backup", report_id, body, {})


@report.command()
@click.option("--agent", required=True, metavar="AGENT", help="Whose call it was.")
@click.option("--model", required=True, metavar="MODEL", help="As deepseek/deepseek-v3.2.")
@click.option("--tokens-input", type=click.IntRange(min=0), metavar="N")
@click.option("--tokens-output", type=click.IntRange(min=0), metavar="N")
@click.option("--tokens-cache-read", type=click.IntRange(min=0), metavar="N")
@click.option("--tokens-cache-write", type=click.IntRange(min=0), metavar="N")
@click.option("--web-searches", type=click.IntRange(min=0), metavar="N")
@click.option("--web-fetches", type=click.IntRange(min=0), metavar="N")
@click.option("--cost-cents", type=click.FloatRange(min=0), metavar="CENTS", help="Parts of a cent add up.")
@_when
@_id
@token
@at
def usage(
    agent: str,
    model: str,
    tokens_input: int | None,
    tokens_output: int | None,
    tokens_cache_read: int | None,
    tokens_cache_write: int | None,
    web_searches: int | None,
    web_fetches: int | None,
    cost_cents: float | None,
    moment: str | None,
    report_id: str | None,
    bearer: dict[str, str],
    address: str,
) -> None:
    """Tell what one call of a model used; the wrapper adds calls up by the hour.

    \b
    safety-wrapper report usage --agent marketing --model deepseek/deepseek-v3.2 --tokens-input 4500 --tokens-output 120
    """
    body = {
        "agentId": agent,
        "model": model,
        "tokensInput": tokens_input,
        "tokensOutput": tokens_output,
        "tokensCacheRead": tokens_cache_read,
        "tokensCacheWrite": tokens_cache_write,
        "webSearchCount": web_searches,
        "webFetchCount": web_fetches,
        "costCents": cost_cents,
        "at": moment,
    }
    _tell(address, "usage", report_id, body, bearer)


def _tell(address: str, what: str, report_id: str | None, given: dict[str, Any], bearer: dict[str, str]) -> None:
    """Report until it is answered, always under one id, so that it counts once."""
    body = {name: value for name, value in given.items() if value is not None}
    body["id"] = report_id or new_id(SystemClock(), SystemRandomness())
    answer = _post(address, what, body, bearer)
    content = _content(answer)
    if not answer.is_success:
        raise click.ClickException(_refusal(answer, content))
    if content.get("kept") is False:
        dropped = content.get("dropped")
        click.echo(f"Not kept, only counted: the Hub is away and too much waits already ({dropped} so far).", err=True)
    else:
        click.echo("Told already." if content.get("repeated") else "Told.")


def _post(address: str, what: str, body: dict[str, Any], bearer: dict[str, str]) -> httpx.Response:
    with httpx.Client(base_url=address, headers=bearer, trust_env=False, timeout=_TIMEOUT_SECONDS) as client:
        for pause in (*_PAUSES_SECONDS, None):
            try:
                answer = client.post(f"/report/{what}", json=body)
            except httpx.HTTPError as error:
                if pause is None:
                    where = address.removeprefix("http://")
                    words = f"no Safety Wrapper answers at {where} ({error or type(error).__name__})"
                    raise click.ClickException(words) from error
            else:
                if answer.status_code != 503 or pause is None:
                    return answer
            time.sleep(pause)
    raise AssertionError


def _content(answer: httpx.Response) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        where = f"{answer.url.host}:{answer.url.port}"
        raise click.ClickException(f"what listens at {where} is no Safety Wrapper") from error


def _refusal(answer: httpx.Response, content: dict[str, Any]) -> str:
    error = content.get("error")
    if not isinstance(error, dict):
        return f"HTTP {answer.status_code}"
    details = error.get("details")
    problems = details if isinstance(details, list) else []
    lines = [f"{problem.get('field')}: {problem.get('message')}" for problem in problems if isinstance(problem, dict)]
    return "\n  ".join(lines) or str(error.get("message"))
