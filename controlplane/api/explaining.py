"""An actor explained to staff: what it is doing, what waits, what happened last; secrets hidden by the runtime."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from actors.runtime.ref import Ref
from actors.runtime.system import ActorSystem


class LastMessage(msgspec.Struct, rename="camel"):
    """A message it began."""

    at: datetime
    type: str
    fields: dict[str, str]


class LastCrash(msgspec.Struct, rename="camel"):
    """Its last crash."""

    at: datetime
    error: Any
    message: str | None


class ActorView(msgspec.Struct, rename="camel"):
    """How one actor is doing; `state` is `asleep` when it is not in memory."""

    path: str
    state: str
    waiting: int
    waiting_control: int
    handled: int
    restarts: int
    pending_timers: int
    idle_seconds: float | None
    last_messages: list[LastMessage]
    last_crash: LastCrash | None
    extra: Any


def actor_view(system: ActorSystem, ref: Ref) -> ActorView:
    """The view of the actor at an address."""
    seen = system.explain(ref.path)
    if seen is None:
        return ActorView(ref.path, "asleep", 0, 0, 0, 0, 0, None, [], None, None)
    crash = seen.last_crash
    return ActorView(
        path=seen.path,
        state=seen.state,
        waiting=seen.waiting,
        waiting_control=seen.waiting_control,
        handled=seen.handled,
        restarts=seen.restarts,
        pending_timers=seen.pending_timers,
        idle_seconds=seen.idle_seconds,
        last_messages=[LastMessage(one.at, one.message.type, one.message.fields) for one in seen.last_messages],
        last_crash=None
        if crash is None
        else LastCrash(crash.at, msgspec.to_builtins(crash.error), crash.message.type if crash.message else None),
        extra=seen.extra,
    )
