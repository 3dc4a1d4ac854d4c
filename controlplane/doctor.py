"""The Hub's examination of itself: each check says what it found and, when that is bad, what to do next."""

from __future__ import annotations

import datetime
import resource
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import Connection, inspect, text

from controlplane.integrations.mail_carrier import Carrier, CarrierDown
from controlplane.secret import Secret
from controlplane.services.audit_examination import Progress, examine
from controlplane.services.sealing import Sealer, Unsealable
from controlplane.settings import Settings
from controlplane.state_folder import StateFolder
from controlplane.store.audit_chain import Anchor, Signer
from controlplane.store.audit_walking import AuditWalk
from controlplane.store.database import Database
from controlplane.store.mail import Backlog, MailStore
from controlplane.store.migrate import SchemaUnknown, pending

OLDEST_POSTGRES: Final = 160_000  # server_version_num
LARGEST_SKEW_SECONDS: Final = 1.0
LEAST_FREE_BYTES: Final = 1024**3
LEAST_FREE_SHARE: Final = 0.05
SPARE_FILES: Final = 1_000
FEWEST_FILES: Final = 4_096
SPARE_CONNECTIONS: Final = 4  # the listener, a migration, and two for people with psql
LONGEST_MAIL_WAIT: Final = datetime.timedelta(hours=1)
_KEYS_TRIED: Final = 1_000
# synchronous_commit: `off` answers before the commit is on disk, all others after.
_DURABLE: Final = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "local", "remote_write", "remote_apply"),
}


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one check found.

    Args:
        check: its name.
        ok: True well, False not, None could not be looked at.
        found: what is the case.
        next: what to do about it, when it is not well.
    """

    check: str
    ok: bool | None
    found: str
    next: str = ""


class Server(msgspec.Struct, frozen=True):
    """What PostgreSQL says of itself, and its clock beside ours."""

    version: str
    version_number: int
    durability: dict[str, str]
    free_connections: int
    skew_seconds: float


def examine_folder(path: Path) -> Finding:
    """The state folder and its secrets belong to us, and to nobody else."""
    name = "state folder"
    if not path.exists():
        return Finding(name, None, f"{path} is not there yet", "`hub serve` makes it")
    try:
        problems = StateFolder(path).problems()
    except OSError as error:
        return Finding(name, False, f"{path} cannot be read ({error.strerror})", "run this as the Hub's user")
    if problems:
        return Finding(name, False, "; ".join(problems), "do what stands after each colon, and check again")
    return Finding(name, True, f"{path} is the Hub's alone")


def examine_disk(path: Path) -> Finding:
    """There is room for the database and its log."""
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    usage = shutil.disk_usage(there)
    found = f"{usage.free / 1024**3:.1f} GiB free ({usage.free / usage.total:.0%}) where {path} lies"
    if usage.free < LEAST_FREE_BYTES or usage.free / usage.total < LEAST_FREE_SHARE:
        return Finding("disk space", False, found, "make room, or move HUB_STATE_DIR to a larger disk")
    return Finding("disk space", True, found)


def examine_files(tenants: int, settings: Settings) -> Finding:
    """The process may open enough files: each socket is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A reconnecting wrapper's old socket may linger beside its new one.
    needed = max(FEWEST_FILES, 2 * tenants + settings.pool_size + SPARE_FILES)
    granted = "any number of" if hard == resource.RLIM_INFINITY else str(hard)
    found = f"the Hub may open {granted} files and needs {needed} for {tenants} tenants"
    if hard != resource.RLIM_INFINITY and hard < needed:
        remedy = f"set LimitNOFILE={needed} in the service's unit, or `ulimit -Hn {needed}` before the start"
        return Finding("open files", False, found, remedy)
    return Finding("open files", True, found)


async def examine_mail(carrier: Carrier | None) -> Finding:
    """Mail would go out."""
    if carrier is None:
        remedy = "set HUB_SMTP_URL and HUB_MAIL_FROM, or the settings of mail, if people shall be told by mail"
        return Finding("mail", None, "off: nobody is told by mail of what waits", remedy)
    try:
        return Finding("mail", True, await carrier.check())
    except CarrierDown as failure:
        remedy = "check HUB_SMTP_URL and HUB_MAIL_FROM, or the settings of mail, and that the server runs"
        return Finding("mail", False, str(failure), remedy)


def judge_outbox(backlog: Backlog, now: datetime.datetime) -> Finding:
    """What was written goes out."""
    lost = f"{backlog.lost} refused or given up since yesterday"
    if backlog.oldest is None:
        return Finding("outbox", True, f"no mail waits, {lost}")
    last = f"; the last try: {backlog.last_error}" if backlog.last_error else ""
    found = f"{backlog.waiting} mails wait, the oldest since {backlog.oldest:%Y-%m-%d %H:%M} UTC, {lost}{last}"
    if now - backlog.oldest > LONGEST_MAIL_WAIT:
        return Finding("outbox", False, found, "bring the mail server back; what waits goes out by itself")
    return Finding("outbox", True, found)


async def examine_database(database: Database, settings: Settings, keys: Sequence[Secret]) -> list[Finding]:
    """PostgreSQL: version, durability, connections, clock; our schema; our keys; files for its tenants.

    Raises:
        Overloaded: it is not reachable.
    """
    server = await database.read(_look, datetime.datetime.now)
    findings = judge_server(server, settings)
    schema = await examine_schema(database)
    findings.append(schema)
    if not schema.ok:
        skipped = "the schema is not this Hub's"
        return [*findings, *(Finding(name, None, skipped) for name in ("master key", "open files", "outbox"))]
    tenants, sealed = await database.read(_sealed_keys)
    now = datetime.datetime.now(datetime.UTC)
    backlog = await MailStore(database).backlog(since=now - datetime.timedelta(days=1))
    return [*findings, judge_keys(keys, sealed), examine_files(tenants, settings), judge_outbox(backlog, now)]


async def examine_audit(
    database: Database, keys: Sequence[Secret], anchors: Sequence[Anchor], *, after: int, progress: Progress
) -> list[Finding]:
    """The audit log is whole: its chain, the chain's signatures, and what was kept outside the database.

    Raises:
        Overloaded: the database is not reachable.
    """
    began = time.perf_counter()
    verdict = await examine(AuditWalk(database), Signer(keys), anchors, after=after, progress=progress)
    seconds = time.perf_counter() - began
    told = [Finding("audit log", False, problem, _ALARM) for problem in verdict.problems]
    told += [Finding("audit log", None, remark) for remark in verdict.remarks]
    speed = f"in {seconds:.1f} s, {verdict.entries / max(seconds, 1e-6):,.0f} a second"
    waiting = f", {verdict.waiting} wait to be sealed" if verdict.waiting else ""
    held = f"held against {verdict.anchors} anchors" if verdict.anchors else "no anchors to hold them against"
    found = f"{verdict.entries} entries {speed}; {held}{waiting}"
    return [*told, Finding("audit chain", not verdict.problems, found, _ALARM if verdict.problems else "")]


def judge_server(server: Server, settings: Settings) -> list[Finding]:
    """Version, durability, connections and clock."""
    return [
        _judge_version(server),
        _judge_durability(server),
        _judge_connections(server, settings),
        _judge_clock(server),
    ]


def judge_keys(keys: Sequence[Secret], sealed: Sequence[bytes]) -> Finding:
    """The master keys open what the database keeps sealed."""
    name = "master key"
    if not sealed:
        return Finding(name, True, "nothing is sealed yet")
    if not keys:
        return Finding(name, False, "there is none, and the database holds sealed secrets", RESTORE)
    sealer = Sealer(keys)
    shut = sum(not _opens(sealer, value) for value in sealed)
    old = sum(not sealer.is_newest(value) for value in sealed) - shut
    if shut:
        return Finding(name, False, f"{shut} of {len(sealed)} sealed secrets do not open", RESTORE)
    return Finding(name, True, f"opens all {len(sealed)} sealed secrets, {old} of them by an older key")


_ALARM: Final = 'keep the database as it is, and go through "When the audit log is not whole" in the operations manual'
RESTORE: Final = (
    "put the key they were sealed with at the end of HUB_MASTER_KEY, "
    "or restore the state folder that belongs to this database"
)


def _opens(sealer: Sealer, value: bytes) -> bool:
    try:
        sealer.open(value)
    except Unsealable:
        return False
    return True


def _judge_version(server: Server) -> Finding:
    if server.version_number < OLDEST_POSTGRES:
        return Finding("database", False, f"PostgreSQL {server.version}", "upgrade it to 16 or newer")
    return Finding("database", True, f"PostgreSQL {server.version} answers")


def _judge_durability(server: Server) -> Finding:
    wrong = [name for name, right in _DURABLE.items() if server.durability[name] not in right]
    found = ", ".join(f"{name} {value}" for name, value in server.durability.items())
    if wrong:
        remedy = f"turn {' and '.join(wrong)} on: a crash now loses what was acknowledged"
        return Finding("durability", False, found, remedy)
    return Finding("durability", True, found)


def _judge_connections(server: Server, settings: Settings) -> Finding:
    needed = settings.pool_size + SPARE_CONNECTIONS
    found = f"{server.free_connections} free, one Hub process takes up to {needed}"
    if server.free_connections < needed:
        return Finding("connections", False, found, "lower HUB_POOL_SIZE or raise max_connections")
    return Finding("connections", True, found)


def _judge_clock(server: Server) -> Finding:
    found = f"the database's clock is {abs(server.skew_seconds) * 1000:.0f} ms from this machine's"
    if abs(server.skew_seconds) > LARGEST_SKEW_SECONDS:
        return Finding("clock", False, found, "set both by NTP (`timedatectl` shows whether that is on)")
    return Finding("clock", True, found)


async def examine_schema(database: Database) -> Finding:
    """The database has the tables of this version."""
    try:
        steps = await pending(database)
    except SchemaUnknown as error:
        return Finding("schema", False, str(error), "start the newer Hub, or restore the backup of before")
    if steps:
        return Finding("schema", False, f"missing {', '.join(steps)}", "`hub migrate`")
    return Finding("schema", True, "current")


def _look(connection: Connection, now: Callable[[datetime.timezone], datetime.datetime]) -> Server:
    def asked(question: str) -> str:
        return str(connection.execute(text(question)).scalar_one())

    durability = {name: asked(f"SHOW {name}") for name in _DURABLE}
    free = asked(
        "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
        " - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') + 1"
    )
    before = now(datetime.UTC)
    theirs = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    # The server's clock was read somewhere between our two looks.
    ours = before + (now(datetime.UTC) - before) / 2
    return Server(
        version=asked("SHOW server_version").split()[0],
        version_number=int(asked("SHOW server_version_num")),
        durability=durability,
        free_connections=int(free),
        skew_seconds=(theirs - ours).total_seconds(),
    )


def _sealed_keys(connection: Connection) -> tuple[int, list[bytes]]:
    """How many tenants there are, and what is sealed: for the oldest and newest tenants and factors, and settings."""
    if not inspect(connection).has_table("server_connections"):
        return 0, []
    tenants = connection.execute(text("SELECT count(*) FROM server_connections")).scalar_one()
    rows = connection.execute(
        text(
            "(SELECT key_sealed FROM server_connections ORDER BY id LIMIT :limit) UNION ALL "
            "(SELECT key_sealed FROM server_connections ORDER BY id DESC LIMIT :limit) UNION ALL "
            "(SELECT secret_sealed FROM second_factors ORDER BY id LIMIT :limit) UNION ALL "
            "(SELECT secret_sealed FROM second_factors ORDER BY id DESC LIMIT :limit) UNION ALL "
            "(SELECT sealed FROM system_settings WHERE sealed IS NOT NULL)"
        ),
        {"limit": _KEYS_TRIED},
    )
    return int(tenants), list(dict.fromkeys(bytes(row[0]) for row in rows))
