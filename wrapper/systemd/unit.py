"""The unit file with this installation's paths: `safety-wrapper install --print-unit`."""

from __future__ import annotations

import importlib.resources
import re
import shutil
import sys
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from wrapper.hub_address import BadAddress, HubAddress

UNIT: Final = "safety-wrapper.service"
DEFAULT_ENVIRONMENT: Final = Path("/etc/letsbe/safety-wrapper.env")
#: Unit files split at white space, and expand % and $.
_PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9._/@+-]*")
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")
_GROUP: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


class UnitWishes(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit is made for.

    Attributes:
        program: the `safety-wrapper` to run.
        openclaw: bridge this server's OpenClaw gateway.
        registration_token, master_key, gateway_token, diun_token, agent_tokens: files of root's, handed over as
            credentials.
        container_engine: the engine's Unix socket.
        groups: further groups of the service's user.
    """

    program: Path
    hub: str
    name: str = "safety-wrapper"
    openclaw: bool = False
    environment_file: Path = DEFAULT_ENVIRONMENT
    registration_token: Path | None = None
    master_key: Path | None = None
    gateway_token: Path | None = None
    diun_token: Path | None = None
    agent_tokens: Path | None = None
    executors: Path | None = None
    container_engine: Path | None = None
    groups: tuple[str, ...] = ()


class UnfitForUnit(Exception):
    """A unit file cannot hold this; the words say what."""


def unit_text(wishes: UnitWishes) -> str:
    """The unit file.

    Raises:
        UnfitForUnit: a path that is relative or holds white space, % or $; a name systemd would not take.
    """
    credentials = {
        "registration-token": wishes.registration_token,
        "master-key": wishes.master_key,
        "gateway-token": wishes.gateway_token,
        "diun-token": wishes.diun_token,
        "agent-tokens": wishes.agent_tokens,
    }
    handed_over = {name: _plain(path) for name, path in credentials.items() if path is not None}
    words = [f"{_plain(wishes.program)} {'openclaw' if wishes.openclaw else 'run'}", f"--hub {_url(wishes.hub)}"]
    words.append(f"--state %S/{_matching(_NAME, wishes.name, 'name')}")
    words += [f"--{name}-file %d/{name}" for name in handed_over]
    if wishes.executors is not None:
        words.append(f"--executors {_plain(wishes.executors)}")
    if wishes.container_engine is not None:
        words.append(f"--container-engine {_plain(wishes.container_engine)}")
    groups = [_matching(_GROUP, group, "group") for group in wishes.groups]
    extra = [f"SupplementaryGroups={' '.join(groups)}"] if groups else []
    values = {
        "EXEC_START": " \\\n    ".join(words),
        "ENVIRONMENT_FILE": _plain(wishes.environment_file),
        "CREDENTIALS": "\n".join(f"LoadCredential={name}:{path}" for name, path in handed_over.items()),
        "USER": wishes.name,
        "STATE_DIRECTORY": wishes.name,
        # Within a user namespace of its own the groups of this server would not count.
        "PRIVATE_USERS": "no" if groups else "yes",
        "EXTRA": "\n".join(extra),
    }
    text = importlib.resources.files("wrapper.systemd").joinpath(UNIT).read_text(encoding="utf-8")
    filled = re.sub(r"@([A-Z_]+)@", lambda match: values[match[1]], text)
    return re.sub(r"\n{3,}", "\n\n", filled)


def _plain(path: Path) -> str:
    return _matching(_PLAIN_PATH, str(path), "path")


def _matching(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise UnfitForUnit(f"a unit file cannot hold the {what} {text!r}: {pattern.pattern} is what fits")
    return text


def _url(text: str) -> str:
    try:
        HubAddress(text, allow_plain=True)
    except BadAddress as error:
        raise UnfitForUnit(str(error)) from error
    return _matching(re.compile(r"[A-Za-z0-9:/._\[\]-]+"), text, "address")


_file = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--print-unit", is_flag=True, required=True, help="Print the unit file; nothing is changed.")
@click.option("--hub", required=True, envvar="SAFETY_WRAPPER_HUB", metavar="URL", help="The Hub: https://host[:port].")
@click.option("--name", default="safety-wrapper", show_default=True, help="Of the user and its folder in /var/lib.")
@click.option("--program", type=_file, help="The safety-wrapper to run.  [default: this one]")
@click.option("--openclaw", is_flag=True, help="Bridge this server's OpenClaw gateway: `openclaw` instead of `run`.")
@click.option(
    "--environment-file", type=_file, default=DEFAULT_ENVIRONMENT, show_default=True, help="Options as variables."
)
@click.option("--registration-token-file", "registration_token", type=_file, help="Needed at the first start.")
@click.option("--master-key-file", "master_key", type=_file, help="Default: a key made in the state folder.")
@click.option("--gateway-token-file", "gateway_token", type=_file, help="OpenClaw's token, with --openclaw.")
@click.option("--diun-token-file", "diun_token", type=_file, help="The token of Diun's webhooks.")
@click.option("--agent-tokens-file", "agent_tokens", type=_file, help="The agents' tokens at the local port.")
@click.option("--executors", type=_file, help="The file that declares what runs the Hub's commands.")
@click.option("--container-engine", type=_file, help="The engine's Unix socket, as /run/docker.sock.")
@click.option(
    "--group", "groups", multiple=True, help="A further group, as docker for the engine's socket. May repeat."
)
def install(*, print_unit: bool, program: Path | None, **wishes: Any) -> None:
    """Print what installs the wrapper as a service of systemd.

    \b
    safety-wrapper install --print-unit --hub https://hub.letsbe.biz \\
      --registration-token-file /etc/letsbe/registration-token > /etc/systemd/system/safety-wrapper.service
    systemctl daemon-reload && systemctl enable --now safety-wrapper
    """
    assert print_unit
    if wishes["gateway_token"] is not None and not wishes["openclaw"]:
        raise click.UsageError("--gateway-token-file is for --openclaw")
    try:
        click.echo(unit_text(UnitWishes(program=program or _this_program(), **wishes)), nl=False)
    except UnfitForUnit as error:
        raise click.ClickException(str(error)) from error


def _this_program() -> Path:
    """The `safety-wrapper` beside the Python that runs this, else the one that is found by its name."""
    beside = Path(sys.executable).with_name("safety-wrapper")
    if beside.exists():
        return beside
    found = shutil.which("safety-wrapper")
    if found is None:
        raise click.ClickException("where safety-wrapper is cannot be found out: give --program")
    return Path(found)
