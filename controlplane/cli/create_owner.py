"""`hub create-owner`: a staff member who may do everything, for the first sign-in and for when nobody can."""

from __future__ import annotations

import getpass
import os
import sys
from functools import partial
from typing import TextIO

import click
import trio

from actors.people import Author
from actors.runtime.ports import SystemClock, SystemIds, SystemRandomness
from controlplane.cli import Refused
from controlplane.opening import build_mail, open_database, open_ground, open_identity
from controlplane.secret import Secret
from controlplane.services.sealing import Sealer
from controlplane.settings import Settings
from controlplane.state_folder import StateFolder
from controlplane.store.migrate import migrate, pending
from controlplane.store.system_settings import SettingStore

_LONGEST_PASSWORD = 4096


@click.command("create-owner")
@click.option("--email", required=True, metavar="ADDRESS", help="Whom the owner signs in as.")
@click.option("--name", required=True, help="The owner's name, as others see it.")
@click.option(
    "--password-file",
    type=click.File("r", encoding="utf-8"),
    help="A file whose first line is the password; - is standard input. Without it you are asked.",
)
def command(email: str, name: str, password_file: TextIO | None) -> None:
    """Make an owner: a staff member who may do everything. Works beside a running Hub.

    The password is never taken from the command line, where others could read it.

    \b
    Examples:
      hub create-owner --email you@example.com --name "Your Name"
      pass show hub | hub create-owner --email you@example.com --name "Your Name" --password-file -
    """
    password = _password(password_file)
    settings = Settings.of_process()
    folder = open_ground(settings)
    member = trio.run(partial(_create, settings, folder, email, name, password))
    click.echo(f"{member} may now sign in as {email}")


def _password(file: TextIO | None) -> Secret:
    if file is not None:
        text = file.readline(_LONGEST_PASSWORD).rstrip("\r\n")
        if not text:
            raise click.UsageError("the password's file has an empty first line")
        return Secret(text)
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask for the password: give --password-file")
    return Secret(click.prompt("Password", hide_input=True, confirmation_prompt="The same again"))


async def _create(settings: Settings, folder: StateFolder, email: str, name: str, password: Secret) -> str:
    """The new member's id."""
    async with open_database(settings, folder, join=True) as database:
        if await pending(database):
            if not settings.embedded:
                raise Refused(["the database's schema is behind: run `hub migrate` first"])
            await migrate(database)
        clock, randomness = SystemClock(), SystemRandomness()
        ids = SystemIds(clock, randomness)
        sealer = Sealer(settings.master_key or folder.master_keys())
        chosen = SettingStore(database, clock=clock, ids=ids, vault=sealer)
        mail = build_mail(database, settings, chosen, sealer, clock=clock, randomness=randomness)
        identity = open_identity(database, settings, folder, sealer, mail, clock=clock, ids=ids, randomness=randomness)
        author = Author.system(f"hub create-owner by {getpass.getuser()} (user {os.getuid()})")
        member = await identity.accounts.create_owner(author, email=email, name=name, password=password.reveal())
        return member.id
