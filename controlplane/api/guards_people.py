"""Guards for people: staff by permission, customers, whoever is signed in; by session cookie or Bearer token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar

from actors.people import Author
from controlplane.api.callers import CustomerCaller, Person, StaffCaller
from controlplane.api.guards import Guard, demand_same_origin
from controlplane.api.hub import Hub
from controlplane.api.incoming import Incoming
from controlplane.api.limits import PUBLIC, SESSION
from controlplane.api.permissions import Permission
from controlplane.store.sessions import Session
from protocol.faults import Fault, Forbidden, Unauthorized
from protocol.ids import CustomerId, StaffId
from protocol.words import UserType

SESSION_COOKIE: Final = "next-auth.session-token"

P_co = TypeVar("P_co", bound=Person, covariant=True)

_BY_SESSION: Final[Sequence[Mapping[str, list[str]]]] = ({"sessionToken": []}, {"sessionCookie": []})


class SessionGuard(Guard[P_co]):
    """What the guards of people have in common: a session, counted by itself."""

    rate: ClassVar[str] = SESSION
    openapi_security = _BY_SESSION
    refuses: ClassVar[Sequence[type[Fault]]] = (Unauthorized, Forbidden)


class Staff(SessionGuard[StaffCaller]):
    """Staff whose role has all of these permissions."""

    admits: ClassVar[type] = StaffCaller

    def __init__(self, *permissions: Permission) -> None:
        self.permissions = permissions

    async def admit(self, incoming: Incoming, hub: Hub) -> StaffCaller:
        caller = caller_of(await session_of(incoming, hub))
        if not isinstance(caller, StaffCaller):
            raise Forbidden("this is for staff only")
        for permission in self.permissions:
            if not caller.may(permission):
                raise Forbidden(f"your role {caller.role} does not have the permission {permission}")
        return caller


class Customer(SessionGuard[CustomerCaller]):
    """Customers; what they may see is a matter of the stores' scope."""

    admits: ClassVar[type] = CustomerCaller

    async def admit(self, incoming: Incoming, hub: Hub) -> CustomerCaller:
        caller = caller_of(await session_of(incoming, hub))
        if not isinstance(caller, CustomerCaller):
            raise Forbidden("this is for customers only")
        return caller


class SignedIn(SessionGuard[Any]):
    """Staff and customers alike."""

    admits: ClassVar[type] = object

    async def admit(self, incoming: Incoming, hub: Hub) -> Person:
        return caller_of(await session_of(incoming, hub))


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever comes to the sign-in routes: somebody signed in, or an address."""

    address: str
    session: Session | None
    token: str | None

    @property
    def kind(self) -> str:
        return "public" if self.session is None else str(self.session.user_type)

    @property
    def rate_key(self) -> str:
        return self.address if self.session is None else self.session.id

    @property
    def author(self) -> Author:
        if self.session is None:
            return Author(type="system", id=None, name="anonymous")
        return caller_of(self.session).author


class Visitors(Guard[Visitor]):
    """Everybody passes; who has a session is counted by it, so that an office behind one address is not one caller."""

    admits: ClassVar[type] = Visitor
    rate: ClassVar[str] = PUBLIC

    async def admit(self, incoming: Incoming, hub: Hub) -> Visitor:
        token, _ = token_of(incoming, hub)
        session = await hub.sessions.look(token) if token is not None else None
        return Visitor(incoming.remote_address, session, None if session is None else token)


def session_cookie(hub: Hub) -> str:
    """The name of the session cookie, as next-auth 4 names it (`core/lib/cookie.ts`)."""
    return f"__Secure-{SESSION_COOKIE}" if hub.secure else SESSION_COOKIE


def token_of(incoming: Incoming, hub: Hub) -> tuple[str | None, bool]:
    """The session token, and whether it came by cookie; a Bearer token wins."""
    if "authorization" in incoming.headers:
        return incoming.bearer, False
    return incoming.cookies.get(session_cookie(hub)), True


async def session_of(incoming: Incoming, hub: Hub) -> Session:
    """The live session behind a request.

    Raises:
        Unauthorized: there is none.
        Forbidden: a foreign page has sent a write with its visitor's cookie.
    """
    token, by_cookie = token_of(incoming, hub)
    if token is None:
        raise Unauthorized("sign in first: a session cookie or a Bearer token is needed")
    if by_cookie:
        demand_same_origin(incoming, hub)
    session = await hub.sessions.find(token)
    if session is None:
        raise Unauthorized("the session is unknown, revoked or over; sign in again")
    return session


def caller_of(session: Session) -> Person:
    """The caller a session belongs to."""
    if session.user_type is UserType.STAFF and session.role is not None:
        return StaffCaller(
            staff_id=StaffId(session.account_id),
            role=session.role,
            name=session.name,
            email=session.email,
            session_id=session.id,
        )
    return CustomerCaller(
        customer_id=CustomerId(session.account_id),
        customer_uuid=session.account,
        name=session.name,
        email=session.email,
        session_id=session.id,
    )
