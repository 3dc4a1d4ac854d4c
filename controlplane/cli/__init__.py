"""The command line `hub`: every module of this folder is one command, named as its file."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import click

from controlplane.settings import SettingsError
from controlplane.state_folder import StateFolderError
from controlplane.store.database import DatabaseMisconfigured
from controlplane.store.migrate import SchemaUnknown
from controlplane.store.postmaster import EmbeddedPostgresError
from protocol.faults import Fault

# Errors whose message is written for the person who typed the command.
REFUSALS = (StateFolderError, EmbeddedPostgresError, DatabaseMisconfigured, SchemaUnknown, Fault)


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
        return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))

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
        except REFUSALS as error:
            raise Refused([str(error)]) from None
        except BaseExceptionGroup as group:
            # trio gathers what ends its tasks; it is ours to tell only when all of it was written to be told.
            known, other = group.split(REFUSALS)
            if other is not None or known is None:
                if group.split(KeyboardInterrupt)[1] is None:
                    raise KeyboardInterrupt from None
                raise
            raise Refused(list(dict.fromkeys(str(error) for error in _leaves(known)))) from None


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
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
