"""What has happened, further back than a console heard it: to one order, or to all."""

from __future__ import annotations

import msgspec

from controlplane.api.call import Call
from controlplane.api.callers import StaffCaller
from controlplane.api.guards_people import Staff
from controlplane.api.paging import CursorListing, CursorPage
from controlplane.api.permissions import Permission
from controlplane.api.router import Router
from controlplane.api.watching import access_of
from controlplane.store.events import Past
from protocol.console import PastEvent
from protocol.faults import NotFound
from protocol.ids import OrderId

routes = Router("/api/v1/admin", guard=Staff(Permission.ORDERS_READ), tag="Events")


@routes.get("/events")
async def events(call: Call[StaffCaller], query: CursorPage) -> CursorListing[PastEvent]:
    """List what has happened to all tenants in the last seven days, newest first; paged as an order's events."""
    rooms = access_of(call.caller.role).rooms
    return _listing(await call.hub.events.past(before=query.cursor, rooms=rooms, limit=query.limit), query.limit)


@routes.get("/orders/{order_id}/events", raises=(NotFound,))
async def order_events(call: Call[StaffCaller], order_id: OrderId, query: CursorPage) -> CursorListing[PastEvent]:
    """List what has happened to an order and its server in the last seven days, newest first.

    The same events as on the console socket's topic `order:…`, and its cursors: give the oldest one heard as `cursor`
    to go on from there. Kinds your role may not watch are left out.
    """
    past = await call.hub.events.of_order(
        call.caller.scope,
        order_id,
        before=query.cursor,
        rooms=access_of(call.caller.role).rooms,
        limit=query.limit,
    )
    return _listing(past, query.limit)


def _listing(past: Past, limit: int) -> CursorListing[PastEvent]:
    items = [
        PastEvent(cursor, event.kind, event.at, event.position.id, msgspec.Raw(event.data))
        for cursor, event in zip(past.cursors, past.events, strict=True)
    ]
    return CursorListing(items, limit, past.cursors[-1] if past.more else None)
