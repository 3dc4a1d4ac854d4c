"""The sessions of whoever is signed in: listed and ended: `/api/v1/auth/sessions`."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from controlplane.api.call import Call
from controlplane.api.callers import Person
from controlplane.api.guards_people import SignedIn
from controlplane.api.router import Router
from controlplane.store.session_endings import OpenSession
from protocol.faults import NotFound
from protocol.ids import SessionId

routes = Router("/api/v1/auth/sessions", guard=SignedIn(), tag="Sessions")


class Ended(Struct, rename="camel"):
    """How many sessions ended."""

    sessions_ended: int


@routes.get()
async def list_sessions(call: Call[Person]) -> Sequence[OpenSession]:
    """List one's own sessions, those used last first."""
    return await call.hub.session_endings.list(call.caller.account, current=call.caller.session_id)


@routes.delete()
async def end_other_sessions(call: Call[Person]) -> Ended:
    """End all of one's sessions but the one that asks."""
    caller = call.caller
    return Ended(await call.hub.session_endings.end_others(call.author, caller.account, keep=caller.session_key))


@routes.delete("/{session_id}", raises=(NotFound,))
async def end_session(call: Call[Person], session_id: SessionId) -> Ended:
    """End one of one's own sessions."""
    await call.hub.session_endings.end(call.author, call.caller.account, session_id)
    return Ended(1)
