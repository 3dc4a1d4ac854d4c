"""How members of staff come to be: the one-time setup, owners made by hand, and the row of whoever joins."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from actors.people import Author
from actors.runtime.ports import Clock, Ids
from controlplane.store import audit, events
from controlplane.store.database import Database
from controlplane.store.tables.accounts import setup_state, staff
from protocol.faults import Conflict
from protocol.ids import StaffId, format_id, parse_id
from protocol.words import AccountStatus, Role


class NewStaff(msgspec.Struct, frozen=True):
    """What makes a member of staff."""

    email: str
    name: str
    password_hash: str


class StaffMember(msgspec.Struct, frozen=True, rename="camel"):
    """A member of staff as the API shows one.

    Args:
        image: where their photo is served.
    """

    id: StaffId
    email: str
    name: str
    role: Role
    status: AccountStatus
    created_at: datetime
    image: str | None = None
    two_factor_enabled: bool = False


class ListedMember(StaffMember, frozen=True, rename="camel"):
    """A member of staff in a list.

    Args:
        last_sign_in_at: when they last signed in, as the audit log tells; null: never.
    """

    last_sign_in_at: datetime | None = None


class SetupState(msgspec.Struct, frozen=True):
    """Whether the Hub has had its first owner, and the hash of the token that makes one."""

    completed_at: datetime | None
    token_hash: bytes | None


class StaffStore:
    """The setup and the owners in the database."""

    def __init__(self, database: Database, *, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

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
        audit.record(connection, Author.system(), "setup.token_made", "setup", at=now, after={"state": "offered"})
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
    return join(connection, author, owner, Role.OWNER, key, now)


def active_owner(connection: Connection, author: Author) -> UUID | None:
    """The author's key, if they are an owner at this moment; their row stays as it is until this transaction ends."""
    key = None if author.id is None else parse_id("stf", author.id)
    found: UUID | None = connection.execute(
        select(staff.c.id)
        .where(staff.c.id == key, staff.c.role == Role.OWNER, staff.c.status == AccountStatus.ACTIVE)
        .with_for_update(read=True)
    ).scalar_one_or_none()
    return found


def join(connection: Connection, author: Author, new: NewStaff, role: Role, key: UUID, now: datetime) -> StaffMember:
    """Make a member of staff in the transaction of what lets them in.

    Raises:
        Conflict: the address is another member's.
    """
    made = connection.execute(
        insert_or_skip(staff)
        .values(
            id=key,
            email=new.email,
            name=new.name,
            role=role,
            status=AccountStatus.ACTIVE,
            password_hash=new.password_hash,
            created_at=now,
            updated_at=now,
        )
        .on_conflict_do_nothing(index_elements=[func.lower(staff.c.email)])
        .returning(staff.c.id)
    ).first()
    if made is None:
        raise Conflict(f"the address {new.email} belongs to another member of staff")
    member = StaffMember(StaffId(format_id("stf", key)), new.email, new.name, role, AccountStatus.ACTIVE, now)
    audit.record(connection, author, "staff.created", member.id, at=now, after=member)
    events.emit(connection, "staff.created", at=now, data=member)
    return member
