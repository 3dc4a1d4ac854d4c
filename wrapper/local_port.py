"""Where a command of `safety-wrapper` finds the running wrapper: the option, on this machine only."""

from __future__ import annotations

from collections.abc import Callable
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
