"""What single wrappers do differently: lose their socket again and again, keep an old configuration, leave."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from enum import StrEnum
from pathlib import Path
from typing import Final

import trio
from websockets.trio.client import ClientConnection

from protocol.objects import TenantConfig
from wrapper.config import Applier, ConfigurationRefused
from wrapper.hub_address import HubAddress
from wrapper.keyring import Secret
from wrapper.link import Dial, dial
from wrapper.ports import Randomness

#: How long the socket of one that flaps lives, on average.
FLAP_SECONDS: Final = 40.0


class Habit(StrEnum):
    """How a wrapper behaves towards the Hub."""

    STEADY = "steady"
    FLAPS = "flaps"
    OUTDATED = "outdated"
    LEAVES = "leaves"


def flapping(nursery: trio.Nursery, dice: Randomness, *, seconds: float = FLAP_SECONDS) -> Dial:
    """A dial whose sockets are lost in the middle of whatever they do, as on a bad line.

    Args:
        nursery: where the tasks that cut live.
        seconds: how long a socket lasts, on average.
    """

    @contextlib.asynccontextmanager
    async def flap(address: HubAddress, key: Secret) -> AsyncIterator[ClientConnection]:
        async with dial(address, key) as socket:
            until_left = trio.CancelScope()

            async def cut() -> None:
                with until_left:
                    await trio.sleep(seconds * dice.uniform(0.75, 1.25))
                    await trio.aclose_forcefully(socket.stream)

            nursery.start_soon(cut)
            try:
                yield socket
            finally:
                until_left.cancel()

    return flap


def keeping_old(kept: Path | None) -> Applier:
    """An applier that takes the first configuration it sees and refuses all that are newer.

    Args:
        kept: the file that remembers which one that was; None forgets it with the process.
    """
    first: list[int] = []

    async def apply(config: TenantConfig) -> None:
        if not first and kept is not None and await trio.Path(kept).exists():
            first.append(int(await trio.Path(kept).read_text()))
        if not first:
            first.append(config.config_version)
            if kept is not None:
                await trio.Path(kept).write_text(str(config.config_version))
        if config.config_version > first[0]:
            raise ConfigurationRefused(
                f"this wrapper is too old for configuration {config.config_version} and keeps {first[0]}"
            )

    return apply
