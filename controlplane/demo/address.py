"""Where the demo's Hub listens, and how this machine reaches it."""

from __future__ import annotations

import errno
import socket
from typing import Final

from controlplane.demo.failure import DemoFailed
from controlplane.settings import Settings

_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def choose_bind(settings: Settings) -> str:
    """The address to listen on, with a port that is free at this moment: the one set, or any where that is 0.

    Raises:
        DemoFailed: somebody listens there.
    """
    host, port = settings.address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family) as tried:
            free = tried.getsockname()[1]
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise DemoFailed(
                f"somebody listens on {settings.bind} already: choose another with HUB_BIND=127.0.0.1:{port + 1}"
            ) from None
        return settings.bind  # the Hub says what is wrong with it
    return f"{settings.bind.rpartition(':')[0]}:{free}"


def local_address(settings: Settings) -> str:
    """`http://host:port` by which this machine reaches the Hub."""
    host, port = settings.address
    host = _EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
