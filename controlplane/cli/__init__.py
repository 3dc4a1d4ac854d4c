"""The command line `hub`: every module of this folder is one command, named as its file."""

from __future__ import annotations

import errno
import importlib
import os
import pkgutil
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import click

from controlplane.settings import SettingsError
from controlplane.state_folder import StateFolderError
from controlplane.store.database import DatabaseMisconfigured
from controlplane.store.migrate import SchemaBehind, SchemaUnknown
from controlplane.store.postmaster import EmbeddedPostgresError
from protocol.faults import Fault

# Errors whose message is written for the person who typed the command.
_TOLD = (StateFolderError, EmbeddedPostgresError, DatabaseMisconfigured, SchemaBehind, SchemaUnknown, Fault)


class Refused(click.ClickException):
    """Sentences for standard error, each after the program's name; exit code 1."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("\n".join(sentences))

    def show(self, file: Any = None) -> None:
        for sentence in self.message.splitlines():
            click.echo(f"hub: {sentence}", file=file, err=file is None)


class WrongSettings(Refused):
    """The same for settings; exit code 2, as for a wrong command line."""

    exit_code = 2


class Commands(click.Group):
    """The commands of this folder: `create_owner.py` holds `command`, typed as `hub create-owner`.

    A command is imported when it is asked for, so that `hub settings` need not wait for a web server's imports.
    """

    def list_commands(self, _ctx: click.Context) -> list[str]:
        names = (module.name for module in pkgutil.iter_modules(__path__))
        return sorted(name.replace("_", "-") for name in names if not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{__name__}.{cmd_name.replace('-', '_')}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise WrongSettings(error.problems) from None
        except Exception as error:
            sentences = [_sentence(leaf) for leaf in _leaves(error)]
            told = [sentence for sentence in sentences if sentence is not None]
            # trio gathers what ends its tasks; a traceback is due when one of them was not written to be told.
            if len(told) < len(sentences):
                raise
            raise Refused(list(dict.fromkeys(told))) from None


def _sentence(error: Exception) -> str | None:
    if isinstance(error, _TOLD):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
        return f"HUB_BIND cannot be listened on ({os.strerror(error.errno)}): write another, or stop who listens there"
    return None


def _leaves(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done · 1 it failed, or a check said no · 2 the command line or a setting is wrong.",
)
@click.version_option(version("letsbe-hub"), prog_name="hub", message="%(prog)s %(version)s")
def main() -> None:
    """LetsBe Hub: the control plane of servers run by AI agents.

    Settings are environment variables beginning with HUB_; `hub settings` lists them with their values.
    Without any, the Hub keeps its state and an embedded PostgreSQL in ./state and listens on
    127.0.0.1:8000.

    \b
    A first start:
      hub serve                                    # in one terminal
      hub create-owner --email you@example.com --name "Your Name"
      hub doctor                                   # is everything well?
    """
