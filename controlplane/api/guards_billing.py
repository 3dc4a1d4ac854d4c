"""The guard of what wrappers report and staff may report in their place: a hub API key, or a permission."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from controlplane.api.callers import StaffCaller
from controlplane.api.guards import Guard
from controlplane.api.guards_people import Staff
from controlplane.api.guards_tenant import Tenant, TenantCaller
from controlplane.api.hub import Hub
from controlplane.api.incoming import Incoming
from controlplane.api.limits import TENANT
from controlplane.api.permissions import Permission
from controlplane.services.bearer import token_in
from protocol.faults import Fault, Forbidden, Unauthorized

_HUB_API_KEY: Final = "hk_"

#: Who reports usage.
Reporter = TenantCaller | StaffCaller


class TenantOrStaff(Guard[Reporter]):
    """Lets a tenant in by its hub API key, and staff whose role has all of these permissions."""

    admits: ClassVar[type] = object
    rate: ClassVar[str] = TENANT
    openapi_security: ClassVar[Sequence[Mapping[str, list[str]]]] = (
        {"hubApiKey": []},
        {"sessionToken": []},
        {"sessionCookie": []},
    )
    refuses: ClassVar[Sequence[type[Fault]]] = (Unauthorized, Forbidden)

    def __init__(self, *permissions: Permission) -> None:
        self._tenant = Tenant()
        self._staff = Staff(*permissions)

    async def admit(self, incoming: Incoming, hub: Hub) -> Reporter:
        token = token_in(incoming.headers.get("authorization"))
        if token is not None and token.startswith(_HUB_API_KEY):
            return await self._tenant.admit(incoming, hub)
        return await self._staff.admit(incoming, hub)
