"""`hub doctor`: is everything well, and if not, what to do next."""

from __future__ import annotations

from collections.abc import Sequence

import click
import msgspec
import trio

from actors.runtime.ports import SystemClock, SystemIds, SystemRandomness
from controlplane import logs
from controlplane.doctor import Finding, examine_database, examine_disk, examine_folder, examine_mail
from controlplane.integrations.mail_carrier import Carrier
from controlplane.opening import build_carrier, build_chosen_carrier, open_database
from controlplane.secret import Secret
from controlplane.services.mail_choices import MailChoices
from controlplane.services.sealing import Sealer
from controlplane.settings import Settings, SettingsError
from controlplane.state_folder import StateFolder, StateFolderError
from controlplane.store.database import Database, DatabaseMisconfigured
from controlplane.store.postmaster import EmbeddedPostgresError
from controlplane.store.system_settings import SettingStore
from protocol.faults import Overloaded

REFUSALS = (EmbeddedPostgresError, DatabaseMisconfigured, Overloaded)


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="A JSON array instead of text.")
def command(as_json: bool) -> None:
    """Examine the settings, the state folder, the database, the keys, the mail and the machine.

    Changes nothing, and works beside a running Hub; without one, the embedded database is started for the look
    and stopped again. Prints ✓ what is well, ✗ what is not and what to do next,
    – what could not be looked at. Exit code 1 when anything is not well.

    \b
    Examples:
      hub doctor
      hub doctor --json | jq '.[] | select(.ok == false)'
    """
    findings = trio.run(_examine)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(findings)))
    else:
        for finding in findings:
            mark = {True: "✓", False: "✗", None: "–"}[finding.ok]
            remedy = f"\n    → {finding.next}" if finding.next else ""
            click.echo(f"{mark} {finding.check}: {finding.found}{remedy}")
    if any(finding.ok is False for finding in findings):
        raise SystemExit(1)


async def _examine() -> list[Finding]:
    try:
        settings = Settings.of_process()
    except SettingsError as error:
        return [Finding("settings", False, problem, "set it right and start again") for problem in error.problems]
    logs.configure(log_format=settings.log_format, level="error")
    folder = StateFolder(settings.state_dir)
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


async def _examine_database(settings: Settings, folder: StateFolder) -> list[Finding]:
    keys = settings.master_key
    if not keys and folder.path.exists() and folder.has("master-key"):
        keys = folder.master_keys()
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
