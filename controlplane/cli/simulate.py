"""`hub simulate`: many real wrappers in one process, against any Hub."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Final, TextIO

import click
import trio

from controlplane import logs
from controlplane.cli import Refused
from controlplane.demo.failure import DemoFailed
from controlplane.demo.simulation import Simulation, simulate
from controlplane.door.process import raise_file_limit, tune_gc
from controlplane.secret import Secret
from controlplane.settings import process_environment
from wrapper.hub_address import BadAddress, HubAddress
from wrapper.script import BadScenario, names, scenario

PASSWORD_VARIABLE: Final = "SIMULATE_PASSWORD"  # noqa: S105 - its name
_LONGEST_PASSWORD: Final = 4096


@click.command("simulate")
@click.option("--hub", required=True, metavar="URL", help="The Hub: https://host[:port], or http:// on this machine.")
@click.option("--tenants", default=10, show_default=True, type=click.IntRange(1, 20_000), metavar="N")
@click.option(
    "--keys",
    default=Path("simulated-tenants.keys"),
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The tenants' keys (mode 0600). What it has is used again, what is missing is made and added.",
)
@click.option("--email", metavar="ADDRESS", help="A staff member who makes what is missing, decides, sends commands.")
@click.option(
    "--password-file",
    type=click.File("r", encoding="utf-8"),
    help=f"First line: the password; - is standard input. Else {PASSWORD_VARIABLE} is read, or you are asked.",
)
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    metavar="NAME",
    help=f"What agents want: {', '.join(names())}, or a .json file of yours; several in turn.  [default: all]",
)
@click.option(
    "--pace",
    default=30.0,
    show_default=True,
    type=click.FloatRange(min=0.05),
    metavar="SECONDS",
    help="How long an agent thinks between two wishes, on average. A tenant has five agents.",
)
@click.option(
    "--ramp",
    default=20.0,
    show_default=True,
    type=click.FloatRange(min=0.01),
    metavar="PER_SECOND",
    help="How many wrappers start a second.",
)
@click.option("--for", "for_seconds", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Stop by itself then.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep journals there, as real wrappers do; without it they are in memory and end with this process.",
)
@click.option("--decide", is_flag=True, help="Staff decides what is asked, as fast as one session may.")
@click.option(
    "--commands",
    default=0.0,
    show_default=True,
    type=click.FloatRange(min=0),
    metavar="PER_MINUTE",
    help="Send so many commands to tenants at random.",
)
@click.option(
    "--with-agents", is_flag=True, help="Deploy five agents on new tenants; without, all that is wanted asks."
)
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0, 2**31), help="The dice of the agents.")
@click.option("--allow-plain-http", is_flag=True, help="Allow http:// to a Hub on another machine.")
def command(
    hub: str,
    tenants: int,
    keys: Path,
    email: str | None,
    password_file: TextIO | None,
    scenarios: tuple[str, ...],
    pace: float,
    ramp: float,
    for_seconds: float | None,
    state: Path | None,
    decide: bool,
    commands: float,
    with_agents: bool,
    seed: int,
    allow_plain_http: bool,
) -> None:
    """Run N real wrappers in this process, each with its own socket and scripted agents.

    The first run makes one customer, and an order and a key for each tenant, by the HTTP API: two requests a tenant
    of the staff session. A Hub that allows 60 a minute takes half a minute for the first 30 and two seconds for each
    further one; HUB_RATE_LIMIT_PER_MINUTE of that Hub changes it. An interrupted run is taken up by the next.

    Ctrl-C lets all say goodbye and prints a summary; a second one ends at once.

    \b
    Examples:
      hub simulate --hub http://127.0.0.1:8000 --tenants 20 --email you@example.com
      hub simulate --hub http://127.0.0.1:8000 --tenants 20             # again: the keys are there
      hub simulate --hub http://127.0.0.1:8000 --tenants 20 --pace 2 --decide --email you@example.com
      hub simulate --hub http://127.0.0.1:8000 --scenario agency --scenario ./mine.json --for 60
    """
    try:
        address = HubAddress(hub, allow_plain=allow_plain_http)
        played = [scenario(name) for name in scenarios or names()]
    except (BadAddress, BadScenario) as error:
        raise click.UsageError(str(error)) from error
    wanted = Simulation(
        address=address,
        tenants=tenants,
        keys=keys,
        scenarios=played,
        pace_seconds=pace,
        ramp_per_second=ramp,
        seed=seed,
        state=state,
        for_seconds=for_seconds,
        with_agents=with_agents,
        decide=decide,
        commands_per_minute=commands,
        email=email,
        password=_password(email, password_file),
    )
    logs.configure(log_format="console", level="error")
    raise_file_limit()
    tune_gc()
    try:
        trio.run(partial(simulate, wanted))
    except* DemoFailed as failures:
        raise Refused(sorted({str(failure) for failure in _leaves(failures)})) from None


def _password(email: str | None, file: TextIO | None) -> Secret | None:
    """Never from the command line, where others could read it."""
    if email is None:
        return None
    if file is not None:
        text = file.readline(_LONGEST_PASSWORD).rstrip("\r\n")
        if not text:
            raise click.UsageError("the password's file has an empty first line")
        return Secret(text)
    if given := process_environment().get(PASSWORD_VARIABLE):
        return Secret(given)
    if not sys.stdin.isatty():
        raise click.UsageError(f"there is no terminal to ask for the password: --password-file or {PASSWORD_VARIABLE}")
    return Secret(click.prompt("Password", hide_input=True, err=True))


def _leaves(group: BaseExceptionGroup[DemoFailed]) -> list[DemoFailed]:
    found: list[DemoFailed] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
