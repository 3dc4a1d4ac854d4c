"""Who may sign in: the credentials of staff and customers, the staff's own rows, and the one-time setup."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from actors.people import Author
from actors.runtime.ports import Clock, Ids
from controlplane.store import audit
from controlplane.store.database import Database
from controlplane.store.tables.accounts import setup_state, staff, users
from protocol.faults import Conflict
from protocol.ids import StaffId, format_id
from protocol.words import AccountStatus, Role, UserType


class Credentials(msgspec.Struct, frozen=True):
    """What a sign-in is checked against."""

    user_type: UserType
    account: UUID
    name: str
    status: AccountStatus
    password_hash: str | None


class NewStaff(msgspec.Struct, frozen=True):
    """What makes a member of staff."""

    email: str
    name: str
    password_hash: str


class StaffMember(msgspec.Struct, frozen=True, rename="camel"):
    """A member of staff as the API shows one."""

    id: StaffId
    email: str
    name: str
    role: Role
    status: AccountStatus
    created_at: datetime


class SetupState(msgspec.Struct, frozen=True):
    """Whether the Hub has had its first owner, and the hash of the token that makes one."""

    completed_at: datetime | None
    token_hash: bytes | None


class StaffStore:
    """The staff in the database, and the way in for everybody."""

    def __init__(self, database: Database, *, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def credentials(self, user_type: UserType, email: str) -> Credentials | None:
        """What signs in with this address, whatever its letters' case."""
        return await self._database.read(_credentials, user_type, email)

    async def setup_state(self) -> SetupState:
        """How far the setup is."""
        return await self._database.read(_setup_state)

    async def offer_setup_token(self, token_hash: bytes) -> bool:
        """Keep the hash of a setup token; False when there is one already or the setup is done."""
        return await self._database.write(_offer_setup_token, token_hash, self._clock.now())

    async def set_up(self, author: Author, owner: NewStaff) -> StaffMember:
        """Make the first owner: of any number at once, one succeeds.

        Raises:
            Conflict: the Hub has been set up.
        """
        return await self._database.write(_set_up, author, owner, self._ids.uuid7(), self._clock.now())

    async def create_owner(self, author: Author, owner: NewStaff) -> StaffMember:
        """Make an owner whether or not there is one: the way back in for who rules the machine.

        Raises:
            Conflict: the address is another member's.
        """
        return await self._database.write(_create_owner, author, owner, self._ids.uuid7(), self._clock.now())


def _credentials(connection: Connection, user_type: UserType, email: str) -> Credentials | None:
    table = staff if user_type is UserType.STAFF else users
    row = connection.execute(
        select(table.c.id, table.c.name, table.c.status, table.c.password_hash).where(
            func.lower(table.c.email) == func.lower(email)
        )
    ).one_or_none()
    if row is None:
        return None
    return Credentials(user_type, row.id, row.name, AccountStatus(row.status), row.password_hash)


def _setup_state(connection: Connection) -> SetupState:
    row = connection.execute(select(setup_state.c.completed_at, setup_state.c.token_hash)).one()
    return SetupState(row.completed_at, row.token_hash)


def _offer_setup_token(connection: Connection, token_hash: bytes, now: datetime) -> bool:
    kept = connection.execute(
        update(setup_state)
        .where(setup_state.c.token_hash.is_(None), setup_state.c.completed_at.is_(None))
        .values(token_hash=token_hash)
    )
    if kept.rowcount == 1:
        audit.record(connection, Author.system(), "setup.token_made", "setup", at=now)
        return True
    return False


def _set_up(connection: Connection, author: Author, owner: NewStaff, key: UUID, now: datetime) -> StaffMember:
    # The row lock lets one through; whoever waited for it then sees that the setup is done.
    if not _complete_setup(connection, now):
        raise Conflict("the Hub has been set up already")
    return _insert_owner(connection, author, owner, key, now)


def _create_owner(connection: Connection, author: Author, owner: NewStaff, key: UUID, now: datetime) -> StaffMember:
    _complete_setup(connection, now)
    return _insert_owner(connection, author, owner, key, now)


def _complete_setup(connection: Connection, now: datetime) -> bool:
    done = connection.execute(
        update(setup_state).where(setup_state.c.completed_at.is_(None)).values(completed_at=now, token_hash=None)
    )
    return done.rowcount == 1


def _insert_owner(connection: Connection, author: Author, owner: NewStaff, key: UUID, now: datetime) -> StaffMember:
    made = connection.execute(
        insert_or_skip(staff)
        .values(
            id=key,
            email=owner.email,
            name=owner.name,
            role=Role.OWNER,
            status=AccountStatus.ACTIVE,
            password_hash=owner.password_hash,
            created_at=now,
            updated_at=now,
        )
        .on_conflict_do_nothing(index_elements=[func.lower(staff.c.email)])
        .returning(staff.c.id)
    ).first()
    if made is None:
        raise Conflict(f"the address {owner.email} belongs to another member of staff")
    member = StaffMember(StaffId(format_id("stf", key)), owner.email, owner.name, Role.OWNER, AccountStatus.ACTIVE, now)
    audit.record(connection, author, "staff.created", member.id, at=now, after=member)
    return member
