"""A second factor taken off somebody else's account: for who has lost the device and all backup codes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, select

from actors.people import Author
from controlplane.store import audit, mail
from controlplane.store.account_rows import Account, holder, tell
from controlplane.store.credentials import Write, forget_proofs
from controlplane.store.keys import missing
from controlplane.store.session_endings import end_all
from controlplane.store.staff import active_owner
from controlplane.store.tables.accounts import staff
from controlplane.store.tables.credentials import second_factors
from protocol.faults import Conflict, Forbidden
from protocol.words import Role, UserType


def reset_factor(connection: Connection, author: Author, account: Account, write: Write, now: datetime) -> None:
    """Take the second factor off an account, end its sessions and half-done sign-ins, and mail its holder.

    Args:
        author: an active member of staff, as the database has them at this moment.
        write: the mail to the holder.

    Raises:
        NotFound: there is no such account.
        Forbidden: it is the author's own, or an owner's and the author is none.
        Conflict: the account has no second factor.
    """
    owner = holder(connection, account, lock=True)
    if owner is None:
        raise missing("stf" if account.user_type is UserType.STAFF else "cust", account.id)
    if account.id == author.id:
        raise Forbidden("nobody takes the second factor off their own account this way; turn it off in your profile")
    if account.user_type is UserType.STAFF:
        role = connection.execute(select(staff.c.role).where(staff.c.id == account.key)).scalar_one()
        if role == Role.OWNER and active_owner(connection, author) is None:
            raise Forbidden("only an owner takes the second factor off an owner's account")
    gone = connection.execute(
        delete(second_factors).where(account.owns(second_factors), second_factors.c.confirmed_at.is_not(None))
    )
    if gone.rowcount == 0:
        raise Conflict("this account has no two-factor authentication")
    forget_proofs(connection, account)
    audit.record(
        connection,
        author,
        "two_factor.reset",
        account.id,
        at=now,
        before={"state": "on"},
        after={"state": "off"},
        customer_id=account.customer,
    )
    end_all(connection, author, account, now=now)
    mail.enqueue(connection, write(owner))
    tell(connection, account, "twoFactorDisabled", at=now)
