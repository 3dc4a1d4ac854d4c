"""The database's errors, translated once: what passes by itself becomes `Overloaded`, bugs stay bugs."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError

from protocol.faults import Fault, Overloaded

RETRY_AFTER_SECONDS = 1.0

CONFLICTS = frozenset({"40001", "40P01"})  # serialization failure, deadlock: the same again may well succeed
STALE_PLAN = "0A000"  # "cached plan must not change result type": another process migrated under us
UNKNOWN_OUTCOME = (
    "the database was lost while it committed: the outcome is unknown, so repeat this only if it is idempotent"
)
NOT_REACHABLE = "the database is not reachable at the moment, nothing was changed"

# Classes and codes of PostgreSQL's appendix A after which the session is over. Asyncpg may not have seen the socket
# close yet when it raises them, so the connection must be thrown away by us.
_SESSION_OVER = ("08", "57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04")
_BUSY = {
    "57014": "the database took too long over this, nothing was changed",  # statement_timeout
    "55P03": "another change holds what this one needs, nothing was changed",  # lock_timeout
    "40001": "too many changes met in the same place, nothing was changed",
    "40P01": "too many changes met in the same place, nothing was changed",
    "25P04": "the database took too long over this, nothing was changed",  # transaction_timeout
}
_EXHAUSTED = ("53", "58")  # insufficient resources (disk, memory, connections), I/O errors outside PostgreSQL
_MISCONFIGURED = ("28", "3D")  # wrong password or role, no such database


def sqlstate(error: BaseException | None) -> str:
    """The five-character PostgreSQL code behind an error, or an empty string."""
    for link in _chain(error):
        code = getattr(link, "sqlstate", None)
        if isinstance(code, str):
            return code
    return ""


def session_is_over(error: BaseException | None) -> bool:
    """Whether the connection that raised this is of no further use."""
    return sqlstate(error).startswith(_SESSION_OVER) or any(isinstance(link, OSError) for link in _chain(error))


def is_lost(error: BaseException) -> bool:
    """Whether the database was gone, refused us, or went away under a transaction."""
    return (isinstance(error, DBAPIError) and error.connection_invalidated) or session_is_over(error)


def is_misconfigured(error: BaseException) -> bool:
    """Whether no waiting will help: wrong password, unknown role or database."""
    return sqlstate(error).startswith(_MISCONFIGURED)


def translate(error: BaseException, *, committing: bool) -> BaseException:
    """What the caller sees for an error of a transaction.

    Args:
        error: what the transaction raised.
        committing: COMMIT had been sent when it happened, so a loss leaves the outcome unknown.

    Returns:
        an `Overloaded` fault for what passes by itself; the error itself for everything else
        (IntegrityError is the
        stores' to read, programming errors are bugs).
    """
    if isinstance(error, Fault):
        return error
    code = sqlstate(error)
    if code in _BUSY:
        return Overloaded(_BUSY[code], retry_after_seconds=RETRY_AFTER_SECONDS)
    if is_lost(error):
        message = UNKNOWN_OUTCOME if committing else NOT_REACHABLE
        return Overloaded(message, retry_after_seconds=RETRY_AFTER_SECONDS)
    if code.startswith(_EXHAUSTED):
        return Overloaded(
            "the database is out of resources, nothing was changed",
            retry_after_seconds=5 * RETRY_AFTER_SECONDS,
        )
    return error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    # SQLAlchemy keeps the driver's error in `orig`, asyncpg's own is the cause of that. Causes of other errors are
    # their own business: a store may well raise its own from an OSError.
    yield from () if error is None else (error,)
    if isinstance(error, DBAPIError) and error.orig is not None:
        yield error.orig
        if error.orig.__cause__ is not None:
            yield error.orig.__cause__
