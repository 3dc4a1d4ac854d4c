"""Tables of enterprise clients: their servers, what is measured and found on them, and who is told."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR

from controlplane.store.tables.base import metadata
from controlplane.store.tables.search import searchable

#: Clients who bring servers of their own; they are deactivated, never deleted.
enterprise_clients = Table(
    "enterprise_clients",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("company", Text),
    Column("contact_email", Text, nullable=False),
    Column("contact_phone", Text),
    Column("notes", Text),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("deactivated_at", DateTime(timezone=True)),
    Column(
        "search",
        TSVECTOR,
        Computed(searchable("name || ' ' || coalesce(company, '') || ' ' || contact_email"), persisted=True),
    ),
    CheckConstraint("is_active = (deactivated_at IS NULL)", name="deactivated_has_a_time"),
    Index("ix_enterprise_clients_search", "search", postgresql_using="gin"),
)
Index(
    "ux_enterprise_clients_name",
    func.lower(enterprise_clients.c.name),
    unique=True,
    postgresql_where=text("is_active"),
)
Index("ix_enterprise_clients_created_at", enterprise_clients.c.created_at.desc(), enterprise_clients.c.id.desc())

#: A client's servers. `(id, client_id)` is a key too, so that what is measured and found names the same client.
enterprise_servers = Table(
    "enterprise_servers",
    metadata,
    Column("id", Uuid, primary_key=True),
    # A client with servers stays: what was found on them is theirs.
    Column("client_id", Uuid, ForeignKey("enterprise_clients.id", ondelete="RESTRICT"), nullable=False),
    Column("netcup_server_id", Text),
    Column("nickname", Text, nullable=False),
    Column("purpose", Text),
    Column("portainer_url", Text),
    Column("portainer_username", Text),
    Column("portainer_password_sealed", LargeBinary),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("id", "client_id"),
    CheckConstraint(
        "(portainer_username IS NULL) = (portainer_password_sealed IS NULL) "
        "AND (portainer_username IS NULL OR portainer_url IS NOT NULL)",
        name="portainer_whole_or_not",
    ),
    Index(
        "ux_enterprise_servers_netcup_server_id",
        "netcup_server_id",
        unique=True,
        postgresql_where=text("is_active AND netcup_server_id IS NOT NULL"),
    ),
    Index("ix_enterprise_servers_client_id", "client_id", "created_at", "id"),
)

#: Figures of a moment, kept for 90 days: of a client's server, or of the server of an order.
server_stats_snapshots = Table(
    "server_stats_snapshots",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("server_id", Uuid),
    Column("client_id", Uuid),
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="CASCADE")),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("cpu_percent", Float),
    Column("memory_used_mb", BigInteger),
    Column("memory_total_mb", BigInteger),
    Column("disk_used_gb", Float),
    Column("disk_total_gb", Float),
    Column("disk_read_mbps", Float),
    Column("disk_write_mbps", Float),
    Column("network_in_mbps", Float),
    Column("network_out_mbps", Float),
    Column("containers_running", Integer),
    Column("containers_stopped", Integer),
    ForeignKeyConstraint(
        ["server_id", "client_id"], ["enterprise_servers.id", "enterprise_servers.client_id"], ondelete="CASCADE"
    ),
    CheckConstraint("(server_id IS NULL) = (client_id IS NULL)", name="server_of_a_client"),
    CheckConstraint("(server_id IS NULL) <> (order_id IS NULL)", name="of_one_server"),
    CheckConstraint("cpu_percent >= 0", name="cpu_percent"),
    CheckConstraint("memory_used_mb BETWEEN 0 AND memory_total_mb", name="memory"),
    CheckConstraint("disk_used_gb BETWEEN 0 AND disk_total_gb", name="disk"),
    CheckConstraint("containers_running >= 0 AND containers_stopped >= 0", name="containers"),
    Index(
        "ux_server_stats_snapshots_server",
        "server_id",
        "at",
        unique=True,
        postgresql_where=text("server_id IS NOT NULL"),
    ),
    Index(
        "ux_server_stats_snapshots_order",
        "order_id",
        "at",
        unique=True,
        postgresql_where=text("order_id IS NOT NULL"),
    ),
    Index("ix_server_stats_snapshots_client", "client_id", "at", postgresql_where=text("client_id IS NOT NULL")),
    Index("ix_server_stats_snapshots_at", "at"),
)

#: What lines of a log mean that something is wrong.
error_detection_rules = Table(
    "error_detection_rules",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("client_id", Uuid, ForeignKey("enterprise_clients.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("pattern", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("description", Text),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("id", "client_id"),
    CheckConstraint("severity IN ('INFO', 'WARNING', 'ERROR', 'CRITICAL')", name="severity"),
    CheckConstraint("pattern <> '' AND length(pattern) <= 1000", name="pattern"),
)
Index(
    "ux_error_detection_rules_name",
    error_detection_rules.c.client_id,
    func.lower(error_detection_rules.c.name),
    unique=True,
)

#: Lines that a rule has found. The rule's name is kept: a rule may be deleted, what it found is not.
detected_errors = Table(
    "detected_errors",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("server_id", Uuid, nullable=False),
    Column("client_id", Uuid, nullable=False),
    Column("rule_id", Uuid),
    Column("rule_name", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("container_id", Text, nullable=False),
    Column("container_name", Text, nullable=False),
    Column("log_line", Text, nullable=False),
    # SHA-256 of the line: a scan that is made again finds nothing twice.
    Column("line_hash", LargeBinary, nullable=False),
    Column("context", Text),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("acknowledged_at", DateTime(timezone=True)),
    Column("acknowledged_by", Uuid, ForeignKey("staff.id", ondelete="RESTRICT")),
    ForeignKeyConstraint(
        ["server_id", "client_id"], ["enterprise_servers.id", "enterprise_servers.client_id"], ondelete="CASCADE"
    ),
    ForeignKeyConstraint(
        ["rule_id", "client_id"],
        ["error_detection_rules.id", "error_detection_rules.client_id"],
        ondelete="SET NULL (rule_id)",
    ),
    CheckConstraint("severity IN ('INFO', 'WARNING', 'ERROR', 'CRITICAL')", name="severity"),
    CheckConstraint("(acknowledged_at IS NULL) = (acknowledged_by IS NULL)", name="acknowledged_by_somebody"),
    Index(
        "ux_detected_errors_line",
        "server_id",
        "container_id",
        "at",
        "line_hash",
        "rule_id",
        unique=True,
    ),
    Index("ix_detected_errors_rule_id", "rule_id", postgresql_where=text("rule_id IS NOT NULL")),
    Index(
        "ix_detected_errors_acknowledged_by",
        "acknowledged_by",
        postgresql_where=text("acknowledged_by IS NOT NULL"),
    ),
)
Index(
    "ix_detected_errors_client",
    detected_errors.c.client_id,
    detected_errors.c.at.desc(),
    detected_errors.c.id.desc(),
)
Index(
    "ix_detected_errors_open",
    detected_errors.c.client_id,
    detected_errors.c.at.desc(),
    detected_errors.c.id.desc(),
    postgresql_where=text("acknowledged_at IS NULL"),
)

#: Codes that a client confirms a dangerous action by: hashed, for one server and action, once, a few tries.
security_verification_codes = Table(
    "security_verification_codes",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("client_id", Uuid, nullable=False),
    Column("server_id", Uuid, nullable=False),
    Column("action", Text, nullable=False),
    Column("code_hash", LargeBinary, nullable=False),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("requested_by", Uuid, ForeignKey("staff.id", ondelete="RESTRICT"), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True)),
    Column("voided_at", DateTime(timezone=True)),
    ForeignKeyConstraint(
        ["server_id", "client_id"], ["enterprise_servers.id", "enterprise_servers.client_id"], ondelete="CASCADE"
    ),
    CheckConstraint("action IN ('WIPE', 'REINSTALL')", name="action"),
    CheckConstraint("length(code_hash) = 32", name="hashed"),
    CheckConstraint("attempts BETWEEN 0 AND 5", name="attempts"),
    CheckConstraint("expires_at > created_at", name="expires_later"),
    CheckConstraint("used_at IS NULL OR (voided_at IS NULL AND used_at < expires_at)", name="one_end"),
    Index(
        "ux_security_verification_codes_open",
        "server_id",
        "action",
        unique=True,
        postgresql_where=text("used_at IS NULL AND voided_at IS NULL"),
    ),
    Index("ix_security_verification_codes_client_id", "client_id", "created_at"),
    Index("ix_security_verification_codes_requested_by", "requested_by"),
    Index("ix_security_verification_codes_expires_at", "expires_at"),
)

#: How far each container's log was read.
log_scan_positions = Table(
    "log_scan_positions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("server_id", Uuid, ForeignKey("enterprise_servers.id", ondelete="CASCADE"), nullable=False),
    Column("container_id", Text, nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
    # Of the last line at that time: several lines can have one.
    Column("last_line_hash", LargeBinary, nullable=False),
    Column("scanned_at", DateTime(timezone=True), nullable=False),
    Index("ux_log_scan_positions_container", "server_id", "container_id", unique=True),
)

#: How each container was seen last; what differs from it at the next look is an event.
container_state_snapshots = Table(
    "container_state_snapshots",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("server_id", Uuid, ForeignKey("enterprise_servers.id", ondelete="CASCADE"), nullable=False),
    Column("container_id", Text, nullable=False),
    Column("container_name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("restart_count", Integer, nullable=False, server_default=text("0")),
    Column("checked_at", DateTime(timezone=True), nullable=False),
    CheckConstraint(
        "state IN ('created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead')", name="state"
    ),
    CheckConstraint("restart_count >= 0", name="restart_count"),
    Index("ux_container_state_snapshots_container", "server_id", "container_id", unique=True),
)

#: What happened to containers.
container_events = Table(
    "container_events",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("server_id", Uuid, ForeignKey("enterprise_servers.id", ondelete="CASCADE"), nullable=False),
    Column("container_id", Text, nullable=False),
    Column("container_name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("exit_code", Integer),
    Column("detail", Text),
    Column("at", DateTime(timezone=True), nullable=False),
    CheckConstraint("kind IN ('STARTED', 'STOPPED', 'CRASHED', 'OOM_KILLED', 'RESTARTED', 'REMOVED')", name="kind"),
    Index("ux_container_events_once", "server_id", "container_id", "kind", "at", unique=True),
    Index("ix_container_events_at", "at"),
)
Index(
    "ix_container_events_server",
    container_events.c.server_id,
    container_events.c.at.desc(),
    container_events.c.id.desc(),
)

#: Whom a client wants to be told of what; one row a client.
notification_settings = Table(
    "notification_settings",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("client_id", Uuid, ForeignKey("enterprise_clients.id", ondelete="CASCADE"), nullable=False),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("lowest_severity", Text, nullable=False, server_default="ERROR"),
    Column("container_crashes", Boolean, nullable=False, server_default=text("true")),
    Column("recipients", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("cooldown_minutes", Integer, nullable=False, server_default=text("30")),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("lowest_severity IN ('INFO', 'WARNING', 'ERROR', 'CRITICAL')", name="lowest_severity"),
    CheckConstraint("cardinality(recipients) <= 20", name="recipients"),
    CheckConstraint("array_position(recipients, NULL) IS NULL", name="recipients_are_somebody"),
    CheckConstraint("cooldown_minutes BETWEEN 0 AND 10080", name="cooldown_minutes"),
    Index("ux_notification_settings_client_id", "client_id", unique=True),
)

#: When somebody was told of something last, so that they are not told again too soon; the row is what nodes race for.
notification_cooldowns = Table(
    "notification_cooldowns",
    metadata,
    Column("id", Uuid, primary_key=True),
    # What it was about, as `error:<rule>:<server>` or `pool:<customer>:80`.
    Column("topic", Text, nullable=False),
    Column("last_sent_at", DateTime(timezone=True), nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
    CheckConstraint("until >= last_sent_at", name="ends_later"),
    Index("ux_notification_cooldowns_topic", "topic", unique=True),
    Index("ix_notification_cooldowns_until", "until"),
)
