"""How a command of `safety-wrapper` reaches the running wrapper: where, on this machine only, and as which agent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from wrapper.hub_address import is_loopback

_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (where a wrapper may listen)


def _address(_context: click.Context, _option: click.Parameter, text: str) -> str:
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    host = _ANYWHERE.get(host, host)
    if not port.isdigit() or int(port) > 65535 or not is_loopback(host):
        raise click.BadParameter(f"must be HOST:PORT on this machine, not {text!r}: nobody else is answered")
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _bearer(_context: click.Context, _option: click.Parameter, path: Path | None) -> dict[str, str]:
    """The header that proves which agent calls."""
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{path} cannot be read: {error}") from error
    if not text.isprintable() or not text:
        raise click.BadParameter(f"{path} must hold one line, the agent's token")
    return {"Authorization": f"Bearer {text}"}


at: Final[Callable[..., Any]] = click.option(
    "--address",
    "--listen",
    "address",
    default="127.0.0.1:8100",
    show_default=True,
    envvar="SAFETY_WRAPPER_LISTEN",
    callback=_address,
    metavar="HOST:PORT",
    help="Where the wrapper listens.",
)

token: Final[Callable[..., Any]] = click.option(
    "--token-file",
    "bearer",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="SAFETY_WRAPPER_AGENT_TOKEN_FILE",
    callback=_bearer,
    metavar="FILE",
    help="File with the agent's own token, where the wrapper has --agent-tokens-file.",
)
