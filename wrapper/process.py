"""One Safety Wrapper as a process: state folder, registration, health, and the end when it is told to."""

from __future__ import annotations

import importlib.metadata
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import structlog
import trio

from wrapper.agent_tokens import AgentTokens
from wrapper.agents import Effects, run_scripted_agents, scripted_executors
from wrapper.answerers import Answerer
from wrapper.daemon import Fittings, Wrapper
from wrapper.executors.declaration import Declaration
from wrapper.executors.leftovers import Leftovers
from wrapper.executors.program import program_executors
from wrapper.gate_api import GateApi
from wrapper.health import add_health
from wrapper.hub_address import HubAddress
from wrapper.journal import messages
from wrapper.keyring import Keyring, Secret
from wrapper.local_api import LocalApi
from wrapper.ports import SystemClock, SystemRandomness, new_id
from wrapper.registration import RegistrationRefused, instance_id, register
from wrapper.reports_api import ReportsApi
from wrapper.script import Scenario
from wrapper.state_folder import StateFolder
from wrapper.systemd.notify import ServiceManager

log = structlog.get_logger()

T = TypeVar("T")

#: What else runs beside the wrapper, such as a bridge; ends only when it is cancelled.
Companion = Callable[[Wrapper], Awaitable[None]]


class CannotStart(Exception):
    """The process cannot do its work; the words say what to change."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says.

    Attributes:
        scripted_pace_seconds: None: no scripted agents.
        webhooks: where webhooks are taken besides the local port, and nothing else is; None: nowhere.
        webhook_url: what the Hub is told at the registration: where its webhooks go.
        accept_v1: take webhooks under the specification's signature alone.
        diun_token: what Diun's webhooks carry.
        agent_tokens: by which the gate and the reports tell agents apart; None: they believe their callers.
        script: what scripted agents want.
        executors: which local programs run commands.
        answerers: what answers live questions, besides what every wrapper answers.
        container_engine: the engine's Unix socket.
        service_manager: who is told that the process is ready and alive.
    """

    address: HubAddress
    state: Path
    registration_token: Secret | None
    master_key: Secret | None
    listen: tuple[str, int]
    scripted_pace_seconds: float | None = None
    webhooks: tuple[str, int] | None = None
    webhook_url: str | None = None
    accept_v1: bool = False
    diun_token: Secret | None = None
    agent_tokens: AgentTokens | None = None
    script: Scenario | None = None
    executors: Mapping[str, Declaration] = field(default_factory=dict)
    answerers: Mapping[str, Answerer] = field(default_factory=dict)
    container_engine: Path | None = None
    service_manager: ServiceManager = field(default_factory=ServiceManager)


async def run_process(options: Options, companion: Companion | None = None) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        CannotStart, StateFolderBusy, StateFolderUnusable: with a sentence for the person who started it.
    """
    with StateFolder.lock(options.state) as folder:
        async with trio.open_nursery() as nursery:
            told = trio.Event()
            nursery.start_soon(_listen, told, nursery.cancel_scope, options.service_manager)
            await _run(options, folder, companion, nursery, told)
            nursery.cancel_scope.cancel()


async def _listen(told: trio.Event, everything: trio.CancelScope, service_manager: ServiceManager) -> None:
    """The first signal ends the work, and the wrapper says goodbye; the second ends everything at once."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            log.info("wrapper.stopping", signal=signal.Signals(number).name)
            if told.is_set():
                everything.cancel()
            service_manager.stopping()
            told.set()


async def _until(told: trio.Event, work: Callable[[], Awaitable[T]]) -> T | None:
    """Do something until it is done, or until the process is told to end: then None."""
    result = None
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            await told.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(watch)
        result = await work()
        nursery.cancel_scope.cancel()
    return result


async def _run(
    options: Options,
    folder: StateFolder,
    companion: Companion | None,
    nursery: trio.Nursery,
    told: trio.Event,
) -> None:
    version = importlib.metadata.version("letsbe-hub")
    randomness, clock = SystemRandomness(), SystemClock()
    running: list[Wrapper] = []

    def status() -> dict[str, Any]:
        if running:
            return running[0].status()
        return {"status": "registering", "safetyWrapper": {"version": version, "connected": False}, "openclaw": None}

    api = LocalApi()
    add_health(api, status)
    GateApi(lambda: running[0] if running else None, options.agent_tokens).add_to(api)
    ReportsApi(lambda: running[0] if running else None, options.agent_tokens).add_to(api)
    await _listen_on(api, options.listen, nursery, "local_api.listening")
    outer_api = LocalApi()
    if options.webhooks is not None:
        await _listen_on(outer_api, options.webhooks, nursery, "webhooks.listening")
    options.service_manager.ready()
    nursery.start_soon(options.service_manager.run, lambda: _alive(running))
    keyring = Keyring(folder, options.master_key)
    instance = instance_id(folder, new_id(clock, randomness))
    key = await _until(told, lambda: _hub_key(options, keyring, instance))
    if key is None:
        return
    effects = Effects(folder.path / "effects.log", clock)
    pace = options.scripted_pace_seconds
    leftovers = Leftovers(instance)
    fittings = Fittings(
        version=version,
        executors={
            **(scripted_executors(effects) if pace is not None else {}),
            **program_executors(options.executors, leftovers),
        },
        stop_leftovers=leftovers.stop,
        accept_v1=options.accept_v1,
        diun_token=options.diun_token,
        answerers=options.answerers,
        container_engine=options.container_engine,
    )
    async with Wrapper.open(options.address, key, journal_path=folder.journal, fittings=fittings) as wrapper:
        running.append(wrapper)
        for where in (api, outer_api):
            wrapper.webhooks.add_to(where)
        log.info("wrapper.started", version=version, instance=instance)

        async def agents() -> None:
            if companion is not None:
                await companion(wrapper)
            elif pace is not None:
                await run_scripted_agents(
                    wrapper, effects, pace_seconds=pace, randomness=randomness, script=options.script
                )
            else:
                await trio.sleep_forever()

        await _until(told, agents)


async def _alive(running: list[Wrapper]) -> str:
    """How things are, once the journal has shown that it still works."""
    if not running:
        return "registering with the Hub"
    await running[0].journal.run(messages.unaccepted)
    state = running[0].status()["safetyWrapper"]
    return (
        f"{'connected to the Hub' if state['connected'] else 'the Hub is away'}, {state['owed']} messages wait for it"
    )


async def _listen_on(api: LocalApi, address: tuple[str, int], nursery: trio.Nursery, event: str) -> None:
    host, port = address
    try:
        port = await nursery.start(api.serve, host, port)
    except OSError as error:
        raise CannotStart(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    log.info(event, host=host, port=port)


async def _hub_key(options: Options, keyring: Keyring, instance: str) -> Secret:
    """The key at hand, or a fresh one where a token is given that has not been spent yet."""
    token = options.registration_token
    if token is not None and not keyring.spent(token):
        try:
            await register(
                options.address,
                token,
                instance,
                keyring,
                randomness=SystemRandomness(),
                webhook_url=options.webhook_url,
            )
        except RegistrationRefused as refusal:
            if keyring.hub_key is None:
                raise CannotStart(f"the Hub refused the registration token: {refusal}") from refusal
            log.error("registration.refused", reason=str(refusal), using="the key at hand")
    key = keyring.hub_key
    if key is None:
        raise CannotStart("not registered yet: give a registration token (--registration-token-file is safest)")
    return key
