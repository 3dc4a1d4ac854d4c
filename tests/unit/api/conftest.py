"""A small API of things, declared as the real ones are, on a Hub whose clock, ids and chance are set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import pytest
import trio
from msgspec import UNSET, Meta, UnsetType

from actors.runtime import AskTimeout, MailboxFull, SeededRandomness, Stopped, SystemIds, VirtualClock
from actors.runtime.errors import ActorCrashed
from controlplane.api.call import Call
from controlplane.api.envelope import Raw
from controlplane.api.guards import Anyone, Public
from controlplane.api.hub import Hub
from controlplane.api.limits import Limit, Limits, standard_limits
from controlplane.api.mount import HubApp, build_app
from controlplane.api.paging import CursorListing, CursorPage, Listing, Page
from controlplane.api.probes import probe_router
from controlplane.api.router import Rate, Router
from protocol.faults import Conflict, NotFound
from protocol.ids import OrderId

START = datetime(2026, 3, 15, 10, tzinfo=UTC)


class Part(msgspec.Struct, rename="camel"):
    """A part of a thing."""

    tokens_input: int
    name: Annotated[str, Meta(min_length=1, examples=["wheel"])] = "part"


class NewThing(msgspec.Struct, rename="camel"):
    """A thing to make."""

    name: Annotated[str, Meta(min_length=1, max_length=50)]
    parts: list[Part] = []
    made_at: datetime | None = None


class ThingPatch(msgspec.Struct, rename="camel"):
    """What to change of a thing."""

    name: str | UnsetType = UNSET
    note: str | UnsetType | None = UNSET


class Thing(msgspec.Struct, rename="camel"):
    """A thing."""

    id: OrderId
    name: str
    made_at: datetime


class ThingQuery(Page, rename="camel", kw_only=True, frozen=True):
    """Which things."""

    search: Annotated[str, Meta(max_length=20)] | None = None
    colour: list[str] = msgspec.field(default_factory=list)


class Sign(msgspec.Struct, rename="camel"):
    """A form as NextAuth sends it."""

    csrf_token: str
    json: bool = False


@dataclass
class Workshop:
    """What the handlers below do is decided by the test."""

    raises: BaseException | None = None
    gate: trio.Event | None = None
    seen: list[Any] = field(default_factory=list)

    def router(self) -> Router:
        routes = Router("/api/v1/things", guard=Public(), tag="Things")

        @routes.get()
        async def list_things(call: Call[Anyone], query: ThingQuery) -> Listing[Thing]:
            """List things."""
            self.seen.append(query)
            return Listing([Thing(OrderId("ord_x"), "wagon", START)], query.page, query.page_size, 1)

        @routes.get("/stream")
        async def page_things(call: Call[Anyone], query: CursorPage) -> CursorListing[int]:
            """Page through things."""
            return CursorListing([1, 2], query.limit, None)

        @routes.post(status=201, raises=(Conflict,))
        async def make_thing(call: Call[Anyone], body: NewThing) -> Thing:
            """Make a thing.

            It is made at once, of `parts`.
            """
            self.seen.append(body)
            if body.name == "again":
                call.response.status = 200
            return Thing(OrderId("ord_x"), body.name, START)

        @routes.get("/{thing_id}", raises=(NotFound,))
        async def read_thing(call: Call[Anyone], thing_id: OrderId) -> Thing:
            """Read a thing."""
            self.seen.append(thing_id)
            if self.raises is not None:
                raise self.raises
            if self.gate is not None:
                await self.gate.wait()
            return Thing(thing_id, "wagon", START)

        @routes.patch("/{thing_id}")
        async def change_thing(call: Call[Anyone], thing_id: OrderId, body: ThingPatch) -> None:
            """Change a thing."""
            self.seen.append(body)

        @routes.delete("/{thing_id}/parts/{number}")
        async def drop_part(call: Call[Anyone], thing_id: OrderId, number: int) -> list[int]:
            """Drop a part."""
            call.response.set_header("X-Part", str(number))
            call.response.set_cookie("last part", str(number), max_age_seconds=60, secure=True)
            return [number]

        auth = Router("/api/auth", guard=Public(), tag="Auth", rate=Rate.NONE, forgive_unknown=True)

        @auth.post("/callback", envelope=False, body_limit_bytes=2000)
        async def callback(call: Call[Anyone], form: Sign | None, body: Sign | None) -> Raw:
            """Sign in."""
            self.seen.append((form, body))
            return Raw(status=302, headers={"Location": "/"}, content_type="text/plain", body=b"moved")

        @auth.post("/hook", body_limit_bytes=100)
        async def hook(call: Call[Anyone], raw: bytes) -> int:
            """Take a hook."""
            self.seen.append((raw, call.request.body))
            return len(raw)

        self.auth = auth
        return routes


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def make_hub(clock: VirtualClock) -> Callable[..., Hub]:
    def make(per_minute: int = 60, **more: Any) -> Hub:
        randomness = SeededRandomness(1)
        limits = Limits(clock, {**standard_limits(per_minute), "few": Limit(2, 60)})
        return Hub(clock=clock, ids=SystemIds(clock, randomness), randomness=randomness, limits=limits, **more)

    return make


@pytest.fixture
def hub(make_hub: Callable[..., Hub]) -> Hub:
    return make_hub()


@pytest.fixture
def app(workshop: Workshop, hub: Hub) -> HubApp:
    return make_app(workshop, hub)


def make_app(workshop: Workshop, hub: Hub) -> HubApp:
    return build_app([workshop.router(), workshop.auth, probe_router()], hub)


#: Every way in which an actor may fail to answer, with the status and words a caller gets.
ACTOR_FAILURES: Iterable[tuple[BaseException, int, str, str]] = [
    (MailboxFull("tenant/a"), 503, "OVERLOADED", "nothing was changed"),
    (AskTimeout("tenant/a", 10, begun=False), 503, "OVERLOADED", "nothing was changed"),
    (AskTimeout("tenant/a", 10, begun=True), 503, "OVERLOADED", "outcome is unknown"),
    (Stopped("tenant/a"), 503, "OVERLOADED", "stopping"),
    (ActorCrashed("tenant/a"), 500, "INTERNAL_ERROR", "Quote request id"),
]
