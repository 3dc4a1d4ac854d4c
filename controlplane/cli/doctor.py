"""`hub doctor`: is everything well, and if not, what to do next."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TextIO

import click
import msgspec
import trio

from actors.runtime.ports import SystemClock, SystemIds, SystemRandomness
from controlplane import logs
from controlplane.doctor import (
    RESTORE,
    Finding,
    examine_audit,
    examine_database,
    examine_disk,
    examine_folder,
    examine_mail,
    examine_schema,
)
from controlplane.integrations.mail_carrier import Carrier
from controlplane.opening import build_carrier, build_chosen_carrier, open_database
from controlplane.secret import Secret
from controlplane.services.audit_witness import AuditWitness
from controlplane.services.mail_choices import MailChoices
from controlplane.services.sealing import Sealer
from controlplane.settings import Settings, SettingsError
from controlplane.state_folder import StateFolder, StateFolderError
from controlplane.store.audit_chain import Anchor, anchors_in
from controlplane.store.database import Database, DatabaseMisconfigured
from controlplane.store.postmaster import EmbeddedPostgresError
from controlplane.store.system_settings import SettingStore
from protocol.faults import Overloaded

REFUSALS = (EmbeddedPostgresError, DatabaseMisconfigured, Overloaded)
_BAR: Final = 40


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="A JSON array instead of text.")
@click.option("--audit", "audit", is_flag=True, help="Examine the audit log's chain instead, from its first entry.")
@click.option(
    "--anchors",
    type=click.File("r", errors="replace"),
    multiple=True,
    help="With --audit: a log that holds anchors, such as one kept elsewhere; - is standard input.",
)
@click.option(
    "--after",
    type=click.IntRange(min=0),
    default=0,
    help="With --audit: believe the chain up to this number, whose faults are accounted for.",
)
def command(as_json: bool, audit: bool, anchors: Sequence[TextIO], after: int) -> None:
    """Examine the settings, the state folder, the database, the keys, the mail and the machine.

    Changes nothing, and works beside a running Hub; without one, the embedded database is started for the look
    and stopped again. Prints ✓ what is well, ✗ what is not and what to do next,
    – what could not be looked at. Exit code 1 when anything is not well.

    \b
    Examples:
      hub doctor
      hub doctor --json | jq '.[] | select(.ok == false)'
      hub doctor --audit
      journalctl -u hub | hub doctor --audit --anchors -
    """
    if (anchors or after) and not audit:
        raise click.UsageError("--anchors and --after belong to --audit")
    kept = [anchor for file in anchors for line in file for anchor in anchors_in(line)]
    findings = trio.run(_find, partial(_examine_audit, kept=kept, after=after) if audit else _examine)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(findings)))
    else:
        for finding in findings:
            mark = {True: "✓", False: "✗", None: "–"}[finding.ok]
            remedy = f"\n    → {finding.next}" if finding.next else ""
            click.echo(f"{mark} {finding.check}: {finding.found}{remedy}")
    if any(finding.ok is False for finding in findings):
        raise SystemExit(1)


async def _find(examine: Callable[[Settings, StateFolder], Awaitable[list[Finding]]]) -> list[Finding]:
    """What the examination finds; settings that cannot be read are all there is to find."""
    try:
        settings = Settings.of_process()
    except SettingsError as error:
        return [Finding("settings", False, problem, "set it right and start again") for problem in error.problems]
    logs.configure(log_format=settings.log_format, level="error")
    return await examine(settings, StateFolder(settings.state_dir))


async def _examine(settings: Settings, folder: StateFolder) -> list[Finding]:
    findings = [
        Finding("settings", True, "every variable is understood"),
        examine_folder(folder.path),
        examine_disk(folder.path),
    ]
    if settings.smtp_url is not None:
        findings.append(await examine_mail(build_carrier(settings)))
    if settings.embedded and not (folder.path / "postgres" / "data").exists():
        return [*findings, Finding("database", None, "the embedded one is not made yet", "`hub serve` makes it")]
    try:
        return findings + await _examine_database(settings, folder)
    except StateFolderError as error:
        return [*findings, Finding("master key", False, str(error), "set it right and check again")]


async def _examine_audit(
    settings: Settings, folder: StateFolder, *, kept: Sequence[Anchor], after: int
) -> list[Finding]:
    if settings.embedded and not (folder.path / "postgres" / "data").exists():
        return [Finding("audit log", None, "the embedded database is not made yet", "`hub serve` makes it")]
    try:
        keys = _master_keys(settings, folder)
        if not keys:
            return [Finding("master key", False, "there is none, and the chain is signed with it", RESTORE)]
        anchors = [*AuditWitness(folder.path).all(), *kept]
        async with open_database(settings, folder, join=True) as database:
            schema = await examine_schema(database)
            if not schema.ok:
                return [schema]
            return await examine_audit(database, keys, anchors, after=after, progress=_show)
    except (StateFolderError, OSError) as error:
        return [Finding("state folder", False, str(error), "set it right and check again")]
    except REFUSALS as refusal:
        return [Finding("database", False, str(refusal), "check that the database runs and lets this machine in")]


def _show(done: int, total: int) -> None:
    """Draw how far it is, for a person who waits."""
    if not sys.stderr.isatty() or not total:
        return
    full = _BAR * done // total
    ended = "\n" if done == total else ""
    click.echo(f"\r{'█' * full}{'░' * (_BAR - full)} {done / total:4.0%}{ended}", nl=False, err=True)


def _master_keys(settings: Settings, folder: StateFolder) -> Sequence[Secret]:
    if settings.master_key:
        return settings.master_key
    return folder.master_keys() if folder.path.exists() and folder.has("master-key") else ()


async def _examine_database(settings: Settings, folder: StateFolder) -> list[Finding]:
    keys = _master_keys(settings, folder)
    remedy = (
        "the log in the state folder's postgres/log says more"
        if settings.embedded
        else "check HUB_DATABASE_URL, and that the server runs and lets this machine in"
    )
    try:
        async with open_database(settings, folder, join=True) as database:
            findings = await examine_database(database, settings, keys)
            if settings.smtp_url is None and any(one.check == "schema" and one.ok for one in findings):
                findings.append(await examine_mail(await _chosen_carrier(database, keys)))
            return findings
    except REFUSALS as refusal:
        return [Finding("database", False, str(refusal), remedy)]


async def _chosen_carrier(database: Database, keys: Sequence[Secret]) -> Carrier | None:
    """What takes mail out as staff have chosen it."""
    if not keys:
        return None
    clock = SystemClock()
    ids = SystemIds(clock, SystemRandomness())
    chosen = SettingStore(database, clock=clock, ids=ids, vault=Sealer(keys))
    way = await MailChoices(chosen, build_chosen_carrier).way()
    return None if way is None else way.carrier
