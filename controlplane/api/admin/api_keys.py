"""Keys of outside callers of the public API: `/api/v1/admin/api-keys`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from controlplane.api.call import Call
from controlplane.api.callers import StaffCaller
from controlplane.api.guards_people import Staff
from controlplane.api.paging import Listing, Page
from controlplane.api.permissions import Permission
from controlplane.api.router import Router
from controlplane.store.api_keys import ApiKey, NewApiKey
from protocol.faults import NotFound
from protocol.ids import ApiKeyId

routes = Router("/api/v1/admin/api-keys", guard=Staff(Permission.SETTINGS_READ), tag="API keys")


class ApiKeyQuery(Page, rename="camel", kw_only=True, frozen=True):
    """Which keys to list."""


class ApiKeyBody(Struct, rename="camel"):
    """A key to make; `expiresAt` null: it is good until it is revoked. With `mayOrder` it creates orders too."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S", examples=["Website"])]
    expires_at: datetime | None = None
    may_order: bool = False


@routes.get()
async def list_keys(call: Call[StaffCaller], query: ApiKeyQuery) -> Listing[ApiKey]:
    """List the keys of outside callers, newest first, revoked ones too."""
    found, total = await call.hub.api_keys.list(offset=query.offset, limit=query.page_size)
    return Listing(found, query.page, query.page_size, total)


@routes.post(status=201, guard=Staff(Permission.TOKENS_ISSUE))
async def create_key(call: Call[StaffCaller], body: ApiKeyBody) -> NewApiKey:
    """Make a key for an outside caller; it is shown once."""
    return await call.hub.api_keys.create(call.author, body.name.strip(), body.expires_at, may_order=body.may_order)


@routes.delete("/{api_key_id}", guard=Staff(Permission.KEYS_REVOKE), raises=(NotFound,))
async def revoke_key(call: Call[StaffCaller], api_key_id: ApiKeyId) -> ApiKey:
    """End a key at once."""
    return await call.hub.api_keys.revoke(call.author, api_key_id)
