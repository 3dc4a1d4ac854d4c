"""The journal's file: one SQLite database, one transaction at a time, durable when the call returns.

WAL with synchronous=FULL: a commit appends to one file and syncs it once, where a rollback journal needs two
or three syncs and a directory change; readers of a copy are never blocked. Both survive a power cut. All
promises that arrive in one read go into one transaction, so that a burst costs one sync.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import trio

from protocol.tenant import FRAME_LIMIT_BYTES, TenantMessage, encode, frame_type
from wrapper.ports import Clock, Randomness, new_id

P = ParamSpec("P")
T = TypeVar("T")

#: Messages kept for the Hub; beyond this the journal refuses new ones instead of filling the disk.
OWED_LIMIT: Final = 100_000
#: Below the Hub's frame limit by a margin for what encodings differ in.
MESSAGE_LIMIT_BYTES: Final = FRAME_LIMIT_BYTES - 1024

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS promises (
  seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, reference TEXT, body BLOB, received_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS promises_open ON promises (seq) WHERE body IS NOT NULL;
CREATE TABLE IF NOT EXISTS webhooks (id TEXT PRIMARY KEY, expires_at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS webhooks_expiry ON webhooks (expires_at);
CREATE TABLE IF NOT EXISTS messages (
  position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, reference TEXT,
  body BLOB NOT NULL, created_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_kind ON messages (kind);
CREATE TABLE IF NOT EXISTS reported (position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS usage_sums (
  hour INTEGER NOT NULL, agent_id TEXT NOT NULL, model TEXT NOT NULL, revision INTEGER NOT NULL DEFAULT 0,
  changed INTEGER NOT NULL, tokens_input INTEGER NOT NULL, tokens_output INTEGER NOT NULL,
  tokens_cache_read INTEGER NOT NULL, tokens_cache_write INTEGER NOT NULL, web_search_count INTEGER NOT NULL,
  web_fetch_count INTEGER NOT NULL, cost_microcents INTEGER NOT NULL, PRIMARY KEY (hour, agent_id, model)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS usage_changed ON usage_sums (hour) WHERE changed = 1;
CREATE TABLE IF NOT EXISTS commands (
  id TEXT PRIMARY KEY, seq INTEGER NOT NULL, type TEXT NOT NULL, payload BLOB NOT NULL, expires_at REAL NOT
  NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, started_at REAL, finished_at REAL, status
  TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS commands_open ON commands (seq) WHERE state <> 'finished';
CREATE TABLE IF NOT EXISTS approvals (
  request_id TEXT PRIMARY KEY, owner TEXT NOT NULL, reference TEXT, agent_id TEXT NOT NULL,
  command_class TEXT NOT NULL, tool_name TEXT NOT NULL, tool_args BLOB NOT NULL, args_hash TEXT NOT NULL,
  human_readable TEXT NOT NULL, state TEXT NOT NULL, requested_at REAL NOT NULL, expires_at REAL NOT NULL,
  approval_id TEXT, responded_by TEXT, reason TEXT, settled_at REAL, outcome_due_at REAL, outcome TEXT
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS approvals_reference ON approvals (owner, reference) WHERE reference IS NOT
NULL; CREATE INDEX IF NOT EXISTS approvals_open ON approvals (expires_at) WHERE state IN ('requested',
'approved', 'used');
"""

#: Columns that came later: a journal of an earlier version is given them when it is opened.
_LATER_COLUMNS: Final = (("approvals", "outcome_due_at", "REAL"), ("approvals", "outcome", "TEXT"))


class JournalFull(Exception):
    """The Hub has been away for so long that nothing more can be kept for it."""


class Transaction:
    """One transaction's view: the connection, the moment, and the messages it leaves for the Hub."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock, randomness: Randomness) -> None:
        self._connection = connection
        self._clock = clock
        self._randomness = randomness
        self.now: datetime = clock.now()
        self.enqueued: list[str] = []

    def execute(self, statement: str, parameters: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        return self._connection.execute(statement, parameters)

    def new_id(self) -> str:
        """An id for a message."""
        return new_id(self._clock, self._randomness)

    def enqueue(self, message: TenantMessage, *, reference: str | None = None, always: bool = False) -> str:
        """Keep a message for the Hub until it is accepted; sent once this transaction has committed.

        Args:
            reference: what it is about.
            always: keep it however many are kept: answers to the Hub's own promises are bounded by those.

        Raises:
            JournalFull: too many are kept already.
            ValueError: it is larger than a frame may be.
        """
        body = encode(message)
        if len(body) > MESSAGE_LIMIT_BYTES:
            raise ValueError(f"a {frame_type(message)} of {len(body)} bytes is larger than a frame may be")
        if not always:
            (owed,) = self.execute("SELECT count(*) FROM messages").fetchone()
            if owed >= OWED_LIMIT:
                raise JournalFull(f"{owed} messages wait for the Hub")
        self.execute(
            "INSERT INTO messages (id, kind, reference, body, created_at) VALUES (?, ?, ?, ?, ?)",
            (message.id, frame_type(message), reference, body, self.now.timestamp()),
        )
        self.enqueued.append(message.id)
        return message.id

    def fact(self, name: str, default: str = "") -> str:
        row = self.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else default

    def remember(self, name: str, value: str) -> None:
        self.execute(
            "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )


class Journal:
    """Runs transactions on the journal's file.

    Attributes:
        on_enqueued: called in the trio thread after a commit, with the ids of new messages for the Hub.
    """

    def __init__(self, connection: sqlite3.Connection, *, durable: bool, clock: Clock, randomness: Randomness):
        self._connection = connection
        self._durable = durable
        self._clock = clock
        self._randomness = randomness
        self._lock = trio.Lock()
        self._thread = trio.CapacityLimiter(1)
        self.on_enqueued: Callable[[list[str]], None] = _tell_nobody

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, path: Path | None, *, clock: Clock, randomness: Randomness) -> AsyncIterator[Journal]:
        """Open, or make, the journal.

        Args:
            path: the file; None keeps everything in memory, in this thread, for load generators that promise
            nothing.

        Raises:
            sqlite3.DatabaseError: the file is not a journal, or is damaged.
        """
        connection = sqlite3.connect(
            ":memory:" if path is None else path, check_same_thread=False, isolation_level=None, timeout=5
        )
        try:
            if path is not None:
                path.chmod(0o600)  # noqa: ASYNC240 (opened once, before anything runs)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA fullfsync = 1")
            connection.executescript(_SCHEMA)
            _add_later_columns(connection)
            yield cls(connection, durable=path is not None, clock=clock, randomness=randomness)
        finally:
            connection.close()

    async def run(self, fn: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one function as one transaction; when this returns, what it wrote is on the disk.

        A cancellation is heeded before the transaction begins, never once it has: its outcome is always
        known.
        """
        async with self._lock:
            if self._durable:
                result, enqueued = await trio.to_thread.run_sync(
                    lambda: self._transact(fn, *args, **kwargs), limiter=self._thread
                )
            else:
                result, enqueued = self._transact(fn, *args, **kwargs)
            # No checkpoint between the commit and this: what was committed is told.
            if enqueued:
                self.on_enqueued(enqueued)
        return result

    def _transact(
        self, fn: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> tuple[T, list[str]]:
        transaction = Transaction(self._connection, self._clock, self._randomness)
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = fn(transaction, *args, **kwargs)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        return result, transaction.enqueued


def _add_later_columns(connection: sqlite3.Connection) -> None:
    for table, column, kind in _LATER_COLUMNS:
        there = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        if column not in there:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")


def sayable(text: str, limit_characters: int = 100_000) -> str:
    """Text from a program, as a frame may carry it: bounded, valid Unicode, without NUL (which the Hub
    refuses).
    """
    return text[:limit_characters].encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _tell_nobody(_: list[str]) -> None:
    """Before there is a link, new messages only wait."""
