"""Invitations to the staff: one open one an address, one use each, worth nothing once its author may not invite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, RowMapping, Select, and_, func, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from actors.people import Author
from actors.runtime.ports import Clock, Ids
from controlplane.store import audit, events, mail
from controlplane.store.database import Database
from controlplane.store.keys import key_of, missing
from controlplane.store.staff import NewStaff, StaffMember, active_owner, join
from controlplane.store.tables.accounts import staff
from controlplane.store.tables.credentials import staff_invitations as invitations
from protocol.faults import Conflict, Forbidden, NotFound
from protocol.ids import InvitationId, format_id
from protocol.words import Role


class InvitationStatus(StrEnum):
    PENDING = "PENDING"
    EXPIRED = "EXPIRED"


class Invitation(msgspec.Struct, frozen=True, rename="camel"):
    """An open invitation as staff see it.

    Args:
        invited_by: the name of who did.
        sent_at: when its mail was last written.
    """

    id: InvitationId
    email: str
    role: Role
    invited_by: str
    status: InvitationStatus
    created_at: datetime
    sent_at: datetime
    expires_at: datetime


class NewInvitation(msgspec.Struct, frozen=True):
    """What makes the link of an invitation.

    Args:
        token_hash: SHA-256 of its token.
        lives: how long.
        write: the mail that carries it, to an address, for a role, from somebody of this name.
    """

    token_hash: bytes
    lives: timedelta
    write: Callable[[str, Role, str], mail.Mail]


class InvitationStore:
    """The invitations in the database."""

    def __init__(self, database: Database, *, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def list(self, *, offset: int, limit: int) -> tuple[Sequence[Invitation], int]:
        """A portion of the open invitations, newest first, and how many there are in all."""
        return await self._database.read(_list, offset, limit, self._clock.now())

    async def invite(self, author: Author, email: str, role: Role, new: NewInvitation) -> Invitation:
        """Invite somebody; an expired invitation of the same address gives way.

        Raises:
            Conflict: the address is a member's, or was invited already.
            Forbidden: the author is no owner any more.
        """
        return await self._database.write(_invite, author, email, role, new, self._ids.uuid7(), self._clock.now())

    async def resend(self, author: Author, invitation_id: InvitationId, new: NewInvitation) -> Invitation:
        """Send an open invitation again under a fresh token; the former one is void.

        Raises:
            NotFound: it is not open.
            Forbidden: the author is no owner any more.
        """
        return await self._database.write(_resend, author, invitation_id, new, self._clock.now())

    async def revoke(self, author: Author, invitation_id: InvitationId) -> Invitation:
        """Take an open invitation back.

        Raises:
            NotFound: it is not open.
        """
        return await self._database.write(_revoke, author, invitation_id, self._clock.now())

    async def find(self, token_hash: bytes) -> Invitation:
        """The invitation a token opens.

        Raises:
            NotFound: it is unknown, used, revoked or over.
        """
        return await self._database.read(_find, token_hash, self._clock.now())

    async def accept(self, author: Author, token_hash: bytes, name: str, password_hash: str) -> StaffMember:
        """Make the member an invitation is for: of any number at once, one succeeds.

        Raises:
            NotFound: as of `find`.
            Conflict: the address has become another member's.
        """
        return await self._database.write(
            _accept, author, token_hash, name, password_hash, self._ids.uuid7(), self._clock.now()
        )


_OPEN: Final = and_(invitations.c.accepted_at.is_(None), invitations.c.revoked_at.is_(None))


def _open() -> Select[Any]:
    return (
        select(invitations, staff.c.name.label("inviter"))
        .join_from(invitations, staff, staff.c.id == invitations.c.invited_by)
        .where(_OPEN)
    )


def _invitation_of(row: RowMapping, now: datetime) -> Invitation:
    return Invitation(
        id=InvitationId(format_id("inv", row["id"])),
        email=row["email"],
        role=Role(row["role"]),
        invited_by=row["inviter"],
        status=InvitationStatus.PENDING if row["expires_at"] > now else InvitationStatus.EXPIRED,
        created_at=row["created_at"],
        sent_at=row["sent_at"],
        expires_at=row["expires_at"],
    )


def _list(connection: Connection, offset: int, limit: int, now: datetime) -> tuple[Sequence[Invitation], int]:
    total = connection.execute(select(func.count()).select_from(invitations).where(_OPEN)).scalar_one()
    rows = connection.execute(
        _open().order_by(invitations.c.created_at.desc(), invitations.c.id.desc()).offset(offset).limit(limit)
    )
    return [_invitation_of(row, now) for row in rows.mappings()], total


def _demand_owner(connection: Connection, author: Author) -> UUID:
    """The author's key, if they may invite at this moment; their row stays as it is until this transaction ends."""
    key = active_owner(connection, author)
    if key is None:
        raise Forbidden("only an owner invites to the staff")
    return key


def _invite(
    connection: Connection, author: Author, email: str, role: Role, new: NewInvitation, key: UUID, now: datetime
) -> Invitation:
    inviter = _demand_owner(connection, author)
    if connection.execute(select(staff.c.id).where(func.lower(staff.c.email) == func.lower(email))).first():
        raise Conflict(f"the address {email} belongs to a member of staff already")
    same = func.lower(invitations.c.email) == func.lower(email)
    connection.execute(update(invitations).where(same, _OPEN, invitations.c.expires_at <= now).values(revoked_at=now))
    made = connection.execute(
        insert_or_skip(invitations)
        .values(
            id=key,
            email=email,
            role=role,
            token_hash=new.token_hash,
            invited_by=inviter,
            created_at=now,
            sent_at=now,
            expires_at=now + new.lives,
        )
        .on_conflict_do_nothing(index_elements=[func.lower(invitations.c.email)], index_where=_OPEN)
        .returning(invitations.c.id)
    ).first()
    if made is None:
        raise Conflict(f"{email} was invited already; send that invitation again, or revoke it")
    invitation = _get(connection, key, now)
    mail.enqueue(connection, new.write(email, role, invitation.invited_by))
    audit.record(connection, author, "staff.invited", invitation.id, at=now, after={"email": email, "role": role})
    events.emit(connection, "staff.invited", at=now, data=invitation)
    return invitation


def _get(connection: Connection, key: UUID, now: datetime, *, lock: bool = False) -> Invitation:
    statement = _open().where(invitations.c.id == key)
    if lock:
        statement = statement.with_for_update(of=invitations)
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise missing("inv", format_id("inv", key))
    return _invitation_of(row, now)


def _resend(
    connection: Connection, author: Author, invitation_id: InvitationId, new: NewInvitation, now: datetime
) -> Invitation:
    inviter = _demand_owner(connection, author)
    key = key_of("inv", invitation_id)
    former = _get(connection, key, now, lock=True)
    connection.execute(
        update(invitations)
        .where(invitations.c.id == key)
        .values(token_hash=new.token_hash, invited_by=inviter, sent_at=now, expires_at=now + new.lives)
    )
    invitation = _get(connection, key, now)
    mail.enqueue(connection, new.write(invitation.email, invitation.role, invitation.invited_by))
    before, after = audit.difference(former, invitation)
    audit.record(connection, author, "staff.invitation_resent", invitation_id, at=now, before=before, after=after)
    events.emit(connection, "staff.invitationResent", at=now, data=invitation)
    return invitation


def _revoke(connection: Connection, author: Author, invitation_id: InvitationId, now: datetime) -> Invitation:
    key = key_of("inv", invitation_id)
    invitation = _get(connection, key, now, lock=True)
    connection.execute(update(invitations).where(invitations.c.id == key).values(revoked_at=now))
    _note_revoked(connection, author, invitation, now)
    return invitation


def revoke_all_of(connection: Connection, author: Author, inviter: UUID, now: datetime) -> None:
    """Take back what somebody has open who may not invite any more."""
    rows = connection.execute(_open().where(invitations.c.invited_by == inviter).with_for_update(of=invitations))
    for row in rows.mappings().all():
        connection.execute(update(invitations).where(invitations.c.id == row["id"]).values(revoked_at=now))
        _note_revoked(connection, author, _invitation_of(row, now), now)


def _note_revoked(connection: Connection, author: Author, invitation: Invitation, now: datetime) -> None:
    audit.record(connection, author, "staff.invitation_revoked", invitation.id, at=now, before=invitation)
    events.emit(connection, "staff.invitationRevoked", at=now, data=invitation)


def _find(connection: Connection, token_hash: bytes, now: datetime, *, lock: bool = False) -> Invitation:
    statement = _open().where(invitations.c.token_hash == token_hash, invitations.c.expires_at > now)
    if lock:
        statement = statement.with_for_update(of=invitations)
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise NotFound("this invitation is unknown, was used or revoked, or is too old; ask for another one")
    return _invitation_of(row, now)


def _accept(
    connection: Connection,
    author: Author,
    token_hash: bytes,
    name: str,
    password_hash: str,
    key: UUID,
    now: datetime,
) -> StaffMember:
    # Whoever waited for the row's lock sees it accepted, and finds nothing.
    invitation = _find(connection, token_hash, now, lock=True)
    author = Author("staff", format_id("stf", key), name, author.address, author.request_id, author.user_agent)
    member = join(connection, author, NewStaff(invitation.email, name, password_hash), invitation.role, key, now)
    connection.execute(
        update(invitations)
        .where(invitations.c.id == key_of("inv", invitation.id))
        .values(accepted_at=now, staff_id=key)
    )
    accepted = {"staffId": member.id}
    audit.record(
        connection, author, "staff.invitation_accepted", invitation.id, at=now, before=invitation, after=accepted
    )
    events.emit(connection, "staff.invitationAccepted", at=now, data=invitation)
    return member
