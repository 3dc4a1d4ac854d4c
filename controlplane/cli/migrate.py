"""`hub migrate`: bring the database's schema to this Hub's."""

from __future__ import annotations

from functools import partial

import click
import trio

from controlplane.opening import open_database, open_ground
from controlplane.settings import Settings
from controlplane.state_folder import StateFolder
from controlplane.store.migrate import migrate, pending


@click.command("migrate")
@click.option("--check", is_flag=True, help="Change nothing; exit code 1 when steps are missing.")
def command(check: bool) -> None:
    """Apply the missing steps of the database schema, all in one transaction, and print them.

    `hub serve` does this by itself for its embedded database; with HUB_DATABASE_URL it is yours to run, before
    the new version starts. Nodes that migrate at once take turns.

    \b
    Examples:
      hub migrate
      hub migrate --check     # in a deployment: is there something to do?
    """
    settings = Settings.of_process()
    folder = open_ground(settings)
    if not trio.run(partial(_migrate, settings, folder, check=check)):
        raise SystemExit(1)


async def _migrate(settings: Settings, folder: StateFolder, *, check: bool) -> bool:
    async with open_database(settings, folder, join=True) as database:
        steps = await (pending(database) if check else migrate(database))
    for step in steps:
        click.echo(f"{'missing' if check else 'applied'} {step}")
    if not steps:
        click.echo("the schema is current")
    return not (check and steps)
