"""`hub serve`: run the Hub until it is told to stop."""

from __future__ import annotations

import contextlib
import sys
from functools import partial
from typing import Final

import click
import trio

from controlplane import wiring
from controlplane.opening import open_ground
from controlplane.settings import Settings

#: How long the trio thread and the database thread leave the interpreter to each other. A decision changes threads four
#: times; with CPython's 5 ms its median was a quarter longer and its 99th percentile nearly twice as long.
SWITCH_INTERVAL_SECONDS: Final = 0.0005


@click.command("serve")
@click.option("--bind", metavar="HOST:PORT", help="Listen here instead of HUB_BIND; port 0 takes a free one.")
def command(bind: str | None) -> None:
    """Run the Hub: the API, the sockets and, without HUB_DATABASE_URL, an embedded PostgreSQL.

    Prints its address once it takes requests. SIGTERM and Ctrl-C let what is under way end, at most
    HUB_SHUTDOWN_SECONDS; wrappers are told to reconnect elsewhere.

    \b
    Examples:
      hub serve
      hub serve --bind 127.0.0.1:9000
      HUB_DATABASE_URL=postgresql://hub@db/hub HUB_LOG_FORMAT=json hub serve
    """
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    settings = Settings.of_process(bind=bind)
    folder = open_ground(settings)
    # The embedded database has one master; over a shared PostgreSQL, nodes may share a folder of secrets too.
    with folder.locked() if settings.embedded else contextlib.nullcontext():
        trio.run(partial(wiring.serve, settings, folder, on_ready=_announce))


def _announce(url: str, setup_token: str | None) -> None:
    click.echo(f"LetsBe Hub is ready on {url}")
    if setup_token is not None:
        click.echo(f"To make the first owner, send this once as setupToken to POST /api/v1/setup: {setup_token}")
