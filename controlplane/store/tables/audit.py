"""Tables of the audit log's chain: one seal an entry, and the signed head."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, DateTime, Index, LargeBinary, Table, Text, Uuid
from sqlalchemy import text as sql

from controlplane.store.tables.base import metadata

#: The chain: the n-th entry and the digest of everything up to it. A database trigger refuses UPDATE, DELETE, TRUNCATE.
audit_seals = Table(
    "audit_seals",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    # No foreign key: whether the entry is there is what the examination asks.
    Column("entry_id", Uuid, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("sealed_at", DateTime(timezone=True), nullable=False),
    # The last of each batch is signed.
    Column("key_id", Text),
    Column("signature", LargeBinary),
    CheckConstraint("number > 0", name="number"),
    CheckConstraint("octet_length(digest) = 32", name="digest"),
    CheckConstraint("(key_id IS NULL) = (signature IS NULL)", name="signed_by_a_key"),
    Index("ux_audit_seals_entry_id", "entry_id", unique=True),
)

#: How far the chain goes: its last number and digest, the place in the order of commits, and the signature over it all.
audit_head = Table(
    "audit_head",
    metadata,
    Column("singleton", Boolean, primary_key=True, server_default=sql("true")),
    Column("number", BigInteger, nullable=False, server_default=sql("0")),
    Column("digest", LargeBinary, nullable=False, server_default=sql("decode(repeat('00', 32), 'hex')")),
    Column("xid", BigInteger, nullable=False, server_default=sql("0")),
    Column("position", BigInteger, nullable=False, server_default=sql("0")),
    Column("signed_at", DateTime(timezone=True)),
    Column("key_id", Text),
    Column("signature", LargeBinary),
    CheckConstraint("singleton", name="one_row"),
)
