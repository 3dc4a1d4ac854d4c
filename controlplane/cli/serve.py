"""`hub serve`: run the Hub until it is told to stop."""

from __future__ import annotations

import contextlib
from functools import partial

import click
import trio

from controlplane import wiring
from controlplane.opening import open_ground
from controlplane.settings import Settings


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
    settings = Settings.of_process(bind=bind)
    folder = open_ground(settings)
    # The embedded database has one master; over a shared PostgreSQL, nodes may share a folder of secrets too.
    with folder.locked() if settings.embedded else contextlib.nullcontext():
        trio.run(partial(wiring.serve, settings, folder, on_ready=_announce))


def _announce(url: str, setup_token: str | None) -> None:
    click.echo(f"LetsBe Hub is ready on {url}")
    if setup_token is not None:
        click.echo(f"To make the first owner, send this once as setupToken to POST /api/v1/setup: {setup_token}")
