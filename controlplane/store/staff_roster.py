"""The staff as a roster: listed, given roles, sent away and taken back; and what each may change of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import Connection, RowMapping, Select, exists, func, or_, select, text, update
from sqlalchemy.exc import IntegrityError

from actors.people import Author
from actors.runtime.ports import Clock
from controlplane.store import audit, events, mail
from controlplane.store.account_rows import Account, holder, photo_path
from controlplane.store.credentials import Write, forget_proofs
from controlplane.store.database import Database
from controlplane.store.invitations import revoke_all_of
from controlplane.store.keys import key_of, missing
from controlplane.store.session_endings import end_all
from controlplane.store.sessions import NEWS as SESSIONS
from controlplane.store.staff import ListedMember, StaffMember
from controlplane.store.tables.accounts import staff
from controlplane.store.tables.credentials import second_factors
from controlplane.store.transaction import tell_after_commit
from controlplane.store.versions import demand_version
from protocol.faults import Conflict, Forbidden
from protocol.ids import StaffId, format_id
from protocol.words import AccountStatus, Role, UserType


class StaffChange(msgspec.Struct, frozen=True):
    """What to change of a member; what is UNSET stays."""

    role: Role | UnsetType = UNSET
    status: AccountStatus | UnsetType = UNSET


class ProfileChange(msgspec.Struct, frozen=True):
    """What a member changes of themselves; what is UNSET stays.

    Args:
        photo: the name it is kept by.
    """

    name: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    photo: str | UnsetType | None = UNSET


class StaffRoster:
    """The members of staff in the database."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def list(
        self, status: AccountStatus | None, *, offset: int, limit: int
    ) -> tuple[Sequence[ListedMember], int]:
        """A portion of the staff, newest first, and how many there are in all."""
        return await self._database.read(_list, status, offset, limit)

    async def get(self, staff_id: StaffId) -> StaffMember:
        """One member.

        Raises:
            NotFound: there is none of this id.
        """
        return await self._database.read(_get, key_of("stf", staff_id))

    async def change(
        self, author: Author, staff_id: StaffId, change: StaffChange, *, version: str | None = None
    ) -> StaffMember:
        """Give a member another role or status; who is not active is out at once, by all doors.

        Args:
            author: an owner, as the database has it at this moment.
            version: what the author saw; None: they did not say.

        Raises:
            NotFound: there is none of this id.
            Forbidden: the author is no owner any more, or would change themselves.
            Conflict: no owner would be left, or the member was changed meanwhile.
        """
        return await self._database.write(_change, author, staff_id, change, version, self._clock.now())

    async def change_profile(
        self, author: Author, staff_id: StaffId, change: ProfileChange, *, version: str | None, write: Write
    ) -> tuple[StaffMember, str | None]:
        """What a member changes of themselves; returns them afterwards, and the name of the photo they had.

        Args:
            write: the mail to the former address, when the address changes.

        Raises:
            Conflict: the address is another member's, or the profile was changed meanwhile.
        """
        try:
            return await self._database.write(
                _change_profile, author, staff_id, change, version, write, self._clock.now()
            )
        except IntegrityError as error:
            raise Conflict(f"the address {change.email} belongs to another member of staff") from error


#: By the log and not by sessions, which are deleted once they are over; by its index of authors.
_LAST_SIGN_IN: Final = text("""
    SELECT asked.id, (SELECT at FROM audit_entries WHERE author_id = asked.id AND action = 'session.started'
                      ORDER BY at DESC LIMIT 1) AS at
    FROM unnest(CAST(:ids AS text[])) AS asked (id)""")


def _members() -> Select[Any]:
    factor = exists().where(second_factors.c.staff_id == staff.c.id, second_factors.c.confirmed_at.is_not(None))
    return select(staff, factor.label("two_factor_enabled"))


def _member_of(row: RowMapping) -> StaffMember:
    return StaffMember(
        id=StaffId(format_id("stf", row["id"])),
        email=row["email"],
        name=row["name"],
        role=Role(row["role"]),
        status=AccountStatus(row["status"]),
        created_at=row["created_at"],
        image=photo_path(row["image"]),
        two_factor_enabled=row["two_factor_enabled"],
    )


def _list(
    connection: Connection, status: AccountStatus | None, offset: int, limit: int
) -> tuple[Sequence[ListedMember], int]:
    conditions = [] if status is None else [staff.c.status == status]
    total = connection.execute(select(func.count()).select_from(staff).where(*conditions)).scalar_one()
    rows = connection.execute(
        _members().where(*conditions).order_by(staff.c.created_at.desc(), staff.c.id.desc()).offset(offset).limit(limit)
    )
    members = [_member_of(row) for row in rows.mappings()]
    asked = connection.execute(_LAST_SIGN_IN, {"ids": [member.id for member in members]})
    signed_in = {row.id: row.at for row in asked}
    return [
        ListedMember(**msgspec.structs.asdict(member), last_sign_in_at=signed_in[member.id]) for member in members
    ], total


def _row(connection: Connection, key: UUID) -> RowMapping:
    row = connection.execute(_members().where(staff.c.id == key)).mappings().one_or_none()
    if row is None:
        raise missing("stf", format_id("stf", key))
    return row


def _get(connection: Connection, key: UUID) -> StaffMember:
    return _member_of(_row(connection, key))


def _change(
    connection: Connection, author: Author, staff_id: StaffId, change: StaffChange, version: str | None, now: datetime
) -> StaffMember:
    key = key_of("stf", staff_id)
    active_owners = _lock_owners_and(connection, key)
    before = _get(connection, key)
    if author.id not in active_owners:
        raise Forbidden("only an owner manages the staff")
    demand_version(before, version, f"the member {before.name}")
    values = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET}
    if all(getattr(before, name) == value for name, value in values.items()):
        return before
    if active_owners == {before.id}:
        raise Conflict("this is the last owner: make somebody else an owner first")
    if before.id == author.id:
        raise Forbidden("nobody changes their own role or status; another owner may")
    connection.execute(update(staff).where(staff.c.id == key).values(**values, updated_at=now))
    after = _get(connection, key)
    old, new = audit.difference(before, after)
    audit.record(connection, author, "staff.changed", staff_id, at=now, before=old, after=new)
    account = Account(UserType.STAFF, key)
    if after.status is not AccountStatus.ACTIVE:
        forget_proofs(connection, account)
        end_all(connection, author, account, now=now)
    if after.status is not AccountStatus.ACTIVE or after.role is not Role.OWNER:
        revoke_all_of(connection, author, key, now)
    tell_after_commit(connection, SESSIONS)
    gone = after.status is AccountStatus.DEACTIVATED
    if gone:
        events.emit(connection, "staff.deactivated", at=now, data=after)
    else:
        events.emit(connection, "staff.changed", at=now, data=after)
    return after


def _lock_owners_and(connection: Connection, key: UUID) -> set[str]:
    """Lock every owner and one member, so that no two changes together leave nobody; returns the active owners' ids."""
    rows = connection.execute(
        select(staff.c.id, staff.c.role, staff.c.status)
        .where(or_(staff.c.id == key, staff.c.role == Role.OWNER))
        .order_by(staff.c.id)
        .with_for_update()
    )
    return {format_id("stf", row.id) for row in rows if row.role == Role.OWNER and row.status == AccountStatus.ACTIVE}


def _change_profile(
    connection: Connection,
    author: Author,
    staff_id: StaffId,
    change: ProfileChange,
    version: str | None,
    write: Write,
    now: datetime,
) -> tuple[StaffMember, str | None]:
    account = Account(UserType.STAFF, key_of("stf", staff_id))
    owner = holder(connection, account, lock=True)
    if owner is None:
        raise missing("stf", staff_id)
    row = _row(connection, account.key)
    before = _member_of(row)
    demand_version(before, version, "your profile")
    wanted = {"name": change.name, "email": change.email, "image": change.photo}
    values = {name: value for name, value in wanted.items() if value is not UNSET}
    if all(row[name] == value for name, value in values.items()):
        return before, row["image"]
    connection.execute(update(staff).where(staff.c.id == account.key).values(**values, updated_at=now))
    after = _get(connection, account.key)
    if before.email != after.email:
        # Links went to the former address, whose reader need not be this member any more.
        forget_proofs(connection, account)
        mail.enqueue(connection, write(owner))
    old, new = audit.difference(before, after)
    tell_after_commit(connection, SESSIONS)
    audit.record(connection, author, "profile.changed", staff_id, at=now, before=old, after=new)
    events.emit(connection, "staff.changed", at=now, data=after)
    return after, row["image"]
