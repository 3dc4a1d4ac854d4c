"""How many places of founding members are left, for everybody (specification section 7)."""

from __future__ import annotations

from controlplane.api.call import Call
from controlplane.api.guards import Anyone, Public
from controlplane.api.router import Router
from controlplane.store.founding_members import Places

routes = Router("/api/v1/public/founding-members", guard=Public(), tag="Public")


@routes.get("/count")
async def count_places(call: Call[Anyone]) -> Places:
    """Tell how many places of founding members there are, taken and left."""
    return await call.hub.founding_members.places()
