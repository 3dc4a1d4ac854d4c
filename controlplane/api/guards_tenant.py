"""The tenant's guard: a hub API key in the Authorization header, never in the URL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from actors.people import Author
from controlplane.api.guards import Guard
from controlplane.api.hub import Hub
from controlplane.api.incoming import Incoming
from controlplane.api.limits import TENANT
from controlplane.services.bearer import bearer_of
from protocol.faults import Fault, Unauthorized
from protocol.ids import OrderId, format_id


@dataclass(frozen=True, slots=True)
class TenantCaller:
    """A tenant's wrapper."""

    order_id: OrderId
    order_uuid: UUID
    server_id: str
    domain: str

    @property
    def kind(self) -> str:
        return "tenant"

    @property
    def rate_key(self) -> str:
        return self.order_id

    @property
    def author(self) -> Author:
        return Author(type="tenant", id=self.order_id, name=self.domain)


class Tenant(Guard[TenantCaller]):
    """Lets a registered tenant in by its hub API key."""

    admits = TenantCaller
    rate: ClassVar[str] = TENANT
    openapi_security: ClassVar[Sequence[Mapping[str, list[str]]]] = ({"hubApiKey": []},)
    refuses: ClassVar[Sequence[type[Fault]]] = (Unauthorized,)

    async def admit(self, incoming: Incoming, hub: Hub) -> TenantCaller:
        key = bearer_of(incoming.headers.get("authorization"))
        holder = await hub.servers.holder(key, at=hub.clock.now())
        return TenantCaller(
            order_id=OrderId(format_id("ord", holder.order_id)),
            order_uuid=holder.order_id,
            server_id=format_id("srv", holder.server_id),
            domain=holder.domain,
        )
