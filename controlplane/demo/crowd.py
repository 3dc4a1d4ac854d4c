"""The demo's smaller companies: their wrappers, all in one process, `python -m controlplane.demo.crowd`.

Each is the wrapper of `safety-wrapper run`, with a state folder, a journal and a socket of its own.
"""

from __future__ import annotations

import signal
import zlib
from pathlib import Path
from typing import Final

import click
import msgspec
import structlog
import trio

from actors.runtime.ports import SeededRandomness
from controlplane import logs
from wrapper.fleet import Fleet, Member
from wrapper.habits import Habit
from wrapper.hub_address import HubAddress
from wrapper.keyring import Keyring, Secret
from wrapper.ports import SystemClock, SystemRandomness, new_id
from wrapper.registration import RegistrationRefused, instance_id, register
from wrapper.script import scenario
from wrapper.state_folder import StateFolder, StateFolderBusy, StateFolderUnusable

log = structlog.get_logger()

_LOOK_SECONDS: Final = 0.1
_GOODBYE_SECONDS: Final = 2.0


class Place(msgspec.Struct):
    """One company of the roster.

    Attributes:
        state: its wrapper's state folder.
        token_file: the file in it that holds the registration token.
    """

    name: str
    state: str
    token_file: str
    script: str
    habit: Habit
    pace_seconds: float


@click.command()
@click.option("--hub", required=True)
@click.option("--roster", required=True, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--allow-plain-http", is_flag=True)
def main(hub: str, roster: Path, allow_plain_http: bool) -> None:
    """Run the wrappers of a roster until SIGTERM or SIGINT. The roster may still be written to."""
    logs.configure(log_format="console", level="info")
    address = HubAddress(hub, allow_plain=allow_plain_http)
    try:
        trio.run(_run, address, roster)
    except* (RegistrationRefused, StateFolderBusy, StateFolderUnusable) as errors:
        raise click.ClickException(_sentence(errors)) from None


def _sentence(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


async def _run(address: HubAddress, roster: Path) -> None:
    fleet = Fleet(address)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            until_told = await nursery.start(_follow, address, roster, fleet)
            async for number in signals:
                log.info("crowd.stopping", signal=signal.Signals(number).name)
                fleet.stop()
                until_told.cancel()
                # Those that still register, or find nobody to say goodbye to.
                nursery.cancel_scope.deadline = trio.current_time() + _GOODBYE_SECONDS
                break


async def _follow(
    address: HubAddress, roster: Path, fleet: Fleet, *, task_status: trio.TaskStatus[trio.CancelScope]
) -> None:
    """Start the wrapper of each line of the roster as it is written, until the scope it starts with is cancelled."""
    started = 0
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as until_told:
            task_status.started(until_told)
            while True:
                *lines, _ = (await trio.Path(roster).read_bytes()).split(b"\n")
                for line in lines[started:]:
                    nursery.start_soon(_live, address, msgspec.json.decode(line, type=Place), fleet)
                started = len(lines)
                await trio.sleep(_LOOK_SECONDS)


async def _live(address: HubAddress, place: Place, fleet: Fleet) -> None:
    structlog.contextvars.bind_contextvars(tenant=place.name)
    with StateFolder.lock(Path(place.state)) as folder:
        member = Member(
            name=place.name,
            key=await _hub_key(address, folder, place),
            script=scenario(place.script),
            pace_seconds=place.pace_seconds,
            dice=SeededRandomness(zlib.crc32(place.name.encode())),
            folder=folder.path,
            habit=place.habit,
        )
        await fleet.run(member)


async def _hub_key(address: HubAddress, folder: StateFolder, place: Place) -> Secret:
    randomness = SystemRandomness()
    keyring = Keyring(folder)
    instance = instance_id(folder, new_id(SystemClock(), randomness))
    token = Secret((folder.read(place.token_file) or b"").decode().strip())
    if not keyring.spent(token):
        await register(address, token, instance, keyring, randomness=randomness)
    key = keyring.hub_key
    if key is None:
        raise StateFolderUnusable(f"the wrapper of {place.name} has no key after registering")
    return key


if __name__ == "__main__":
    main()
