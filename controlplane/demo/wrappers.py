"""The demo's wrappers: a process each for the customer that signs in, one process for the smaller companies."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path
from typing import Final

import msgspec

from controlplane.demo.cast import ACME, part_with
from controlplane.demo.crowd import Place
from controlplane.demo.family import Child, Family, Program
from controlplane.demo.home import Home, write_privately
from controlplane.demo.seed import TOKEN_FILE, Tenant
from controlplane.settings import PREFIX, Settings, process_environment
from wrapper.habits import Habit

#: How long an agent thinks between two wishes, on average: of the company at the keyboard, and of the others.
PACE_SECONDS: Final = 20.0
CROWD_PACE_SECONDS: Final = 45.0
_ENDINGS: Final = ((signal.SIGTERM, 3.0),)
_HIDDEN: Final = (PREFIX, "SAFETY_WRAPPER", "DATABASE_URL")


class Wrappers:
    """Starts the wrappers of tenants as these come to their places.

    Args:
        address: by which this machine reaches the Hub.
    """

    def __init__(self, settings: Settings, home: Home, family: Family, address: str) -> None:
        self._settings = settings
        self._home = home
        self._family = family
        self._address = address
        self._roster = home.path / "roster"
        self._children: dict[str, Child] = {}
        self._crowd: Child | None = None
        self.tenants: dict[str, Tenant] = {}

    @property
    def awaited(self) -> dict[str, Tenant]:
        """Those which are online when all is well, by order."""
        return {order_id: tenant for order_id, tenant in self.tenants.items() if tenant.part.habit is not Habit.LEAVES}

    def with_habit(self, habit: Habit) -> Tenant:
        """The tenant that has this habit."""
        return next(tenant for tenant in self.tenants.values() if tenant.part == part_with(habit))

    def start_crowd(self) -> None:
        """Start the process of all other companies' wrappers, each of which begins when it has come to its place."""
        write_privately(self._roster, "")
        words = ["-m", "controlplane.demo.crowd", "--hub", self._address, "--roster", str(self._roster), *self._plain]
        self._crowd = self._start("the process of the smaller companies' wrappers", words, self._home.log("others"))

    def arrived(self, tenant: Tenant) -> None:
        """A tenant is in its place: start its wrapper, unless this was said before."""
        if tenant.order_id in self.tenants:
            return
        self.tenants[tenant.order_id] = tenant
        if tenant.company is ACME:
            words = self._words(tenant, PACE_SECONDS)
            name = f"the wrapper of {tenant.part.domain}"
            self._children[tenant.order_id] = self._start(name, words, self._home.log(tenant.part.name))
        else:
            place = Place(
                name=tenant.part.domain,
                state=str(tenant.state),
                token_file=TOKEN_FILE,
                script=tenant.part.script,
                habit=tenant.part.habit,
                pace_seconds=CROWD_PACE_SECONDS,
            )
            with self._roster.open("ab") as roster:
                roster.write(msgspec.json.encode(place) + b"\n")

    def came_online(self, order_id: str) -> None:
        """A tenant is online: its process has done what it was started for."""
        child = self._children.get(order_id)
        if child is not None:
            child.settled = True

    def all_came_online(self) -> None:
        """So has the process of all the others."""
        assert self._crowd is not None
        self._crowd.settled = True

    def write_switch(self) -> Path:
        """The script that switches the tenant on whose server the demo leaves off."""
        absent = self.with_habit(Habit.LEAVES)
        path = self._home.path / "switch-on"
        command = shlex.join([sys.executable, *self._words(absent, PACE_SECONDS)])
        write_privately(
            path,
            f"#!/bin/sh\n# Switches the server of {absent.part.domain} on, until Ctrl-C; the demo leaves it off.\n"
            f"exec {command}\n",
        )
        return path

    @property
    def _plain(self) -> list[str]:
        return [] if self._settings.loopback_only else ["--allow-plain-http"]  # to an address of this very machine

    def _words(self, tenant: Tenant, pace_seconds: float) -> list[str]:
        return [
            *("-m", "wrapper", "run", "--hub", self._address, "--state", str(tenant.state)),
            *("--registration-token-file", str(tenant.state / TOKEN_FILE), "--listen", "127.0.0.1:0"),
            *("--scripted-agents", str(pace_seconds), "--script", tenant.part.script, *self._plain),
        ]

    def _start(self, name: str, words: list[str], log: Path) -> Child:
        environment = {name: text for name, text in process_environment().items() if not name.startswith(_HIDDEN)}
        program = Program(name=name, words=(sys.executable, *words), log=log, environment=environment, endings=_ENDINGS)
        return self._family.start(program)
