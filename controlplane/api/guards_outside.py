"""Guards for programs that are no tenant: outside callers by API key, and whoever runs the clock by its secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from actors.people import Author
from controlplane.api.guards import Guard
from controlplane.api.hub import Hub
from controlplane.api.incoming import Incoming
from controlplane.api.limits import PUBLIC, TENANT
from controlplane.secret import Secret
from controlplane.services.bearer import token_in
from protocol.faults import Fault, Forbidden, Unauthorized
from protocol.ids import ApiKeyId


@dataclass(frozen=True, slots=True)
class ApiKeyCaller:
    """A program that holds an API key."""

    key_id: ApiKeyId
    name: str
    may_order: bool

    @property
    def kind(self) -> str:
        return "api-key"

    @property
    def rate_key(self) -> str:
        return self.key_id

    @property
    def author(self) -> Author:
        return Author(type="system", id=self.key_id, name=self.name)


class OutsideCaller(Guard[ApiKeyCaller]):
    """Lets whoever holds an API key in."""

    admits = ApiKeyCaller
    rate: ClassVar[str] = TENANT
    openapi_security: ClassVar[Sequence[Mapping[str, list[str]]]] = ({"apiKey": []},)
    refuses: ClassVar[Sequence[type[Fault]]] = (Unauthorized,)

    async def admit(self, incoming: Incoming, hub: Hub) -> ApiKeyCaller:
        key = token_in(incoming.headers.get("authorization"))
        if key is None:
            raise Unauthorized("send the API key as `Authorization: Bearer ak_…`")
        held = await hub.api_keys.holder(key)
        return ApiKeyCaller(held.id, held.name, held.may_order)


class OrderingCaller(OutsideCaller):
    """Lets whoever holds an API key in that creates orders."""

    refuses: ClassVar[Sequence[type[Fault]]] = (Unauthorized, Forbidden)

    async def admit(self, incoming: Incoming, hub: Hub) -> ApiKeyCaller:
        caller = await super().admit(incoming, hub)
        if not caller.may_order:
            raise Forbidden("this API key reads orders only; staff make one that creates them")
        return caller


@dataclass(frozen=True, slots=True)
class CronCaller:
    """Whoever runs the clock."""

    address: str

    @property
    def kind(self) -> str:
        return "cron"

    @property
    def rate_key(self) -> str:
        return self.address

    @property
    def author(self) -> Author:
        return Author(type="cron", id=None, name="cron", address=self.address)


class Cron(Guard[CronCaller]):
    """Lets whoever holds the cron secret in."""

    admits = CronCaller
    rate: ClassVar[str] = PUBLIC
    openapi_security: ClassVar[Sequence[Mapping[str, list[str]]]] = ({"cronSecret": []},)
    refuses: ClassVar[Sequence[type[Fault]]] = (Unauthorized,)

    async def admit(self, incoming: Incoming, hub: Hub) -> CronCaller:
        given = token_in(incoming.headers.get("authorization"))
        # Secrets compare in constant time.
        if given is None or Secret(given) != hub.cron_secret:
            raise Unauthorized("send the cron secret as `Authorization: Bearer …`")
        return CronCaller(incoming.remote_address)
