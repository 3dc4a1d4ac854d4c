"""`hub migrate`, `hub create-owner` and `hub doctor`, over a given PostgreSQL and over the embedded one."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Run
from tests.postgres import PostgresServer

PASSWORD = "a long and good passphrase 42"
OWNER = ("create-owner", "--email", "owner@example.com", "--name", "Olive Owner", "--password-file", "-")
NEW_KEY = base64.urlsafe_b64encode(bytes(32)).decode()


@pytest.fixture
def empty_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a fresh database without a schema."""
    name = postgres.create(template="template0")
    yield postgres.url_for(name)
    postgres.drop(name)


def findings(text: str) -> dict[str, dict[str, object]]:
    return {finding["check"]: finding for finding in json.loads(text)}


def test_migrate_applies_what_check_finds_missing(hub: Run, empty_url: str) -> None:
    check = hub("migrate", "--check", HUB_DATABASE_URL=empty_url)
    assert check.returncode == 1
    missing = [line.removeprefix("missing ") for line in check.stdout.splitlines()]
    assert missing[0] == "0001_accounts"
    applied = hub("migrate", HUB_DATABASE_URL=empty_url)
    assert applied.returncode == 0, applied.stderr
    assert applied.stdout.splitlines() == [*(f"applied {step}" for step in missing)]
    for again in (hub("migrate", HUB_DATABASE_URL=empty_url), hub("migrate", "--check", HUB_DATABASE_URL=empty_url)):
        assert (again.returncode, again.stdout) == (0, "the schema is current\n")


def test_a_database_that_is_not_there_is_told_in_a_sentence(hub: Run) -> None:
    run = hub("migrate", HUB_DATABASE_URL="postgresql://hub:hunter2@127.0.0.1:1/hub", HUB_CONNECT_TIMEOUT_SECONDS="1")
    assert run.returncode == 1
    assert "hub: the database is not reachable" in run.stderr
    assert "Traceback" not in run.stderr
    assert "hunter2" not in run.stderr


def test_an_owner_is_made_once(hub: Run, database_url: str) -> None:
    made = hub(*OWNER, given=f"{PASSWORD}\n", HUB_DATABASE_URL=database_url)
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("stf_")
    assert "owner@example.com" in made.stdout
    assert PASSWORD not in made.stdout + made.stderr
    again = hub(*OWNER, given=PASSWORD, HUB_DATABASE_URL=database_url)
    assert again.returncode == 1
    assert "hub: the address owner@example.com belongs to another" in again.stderr


def test_an_owners_password_must_be_good(hub: Run, database_url: str) -> None:
    run = hub(*OWNER, given="short", HUB_DATABASE_URL=database_url)
    assert run.returncode == 1
    assert "hub: password: " in run.stderr


def test_an_owners_password_is_asked_for_on_a_terminal_only(hub: Run) -> None:
    run = hub(*OWNER[:-2])
    assert run.returncode == 2
    assert "--password-file" in run.stderr
    assert hub(*OWNER, given="\n").returncode == 2


def test_an_owner_needs_the_schema(hub: Run, empty_url: str) -> None:
    run = hub(*OWNER, given=PASSWORD, HUB_DATABASE_URL=empty_url)
    assert run.returncode == 1
    assert "`hub migrate`" in run.stderr


def test_the_embedded_database_from_nothing_to_a_clean_bill_of_health(hub: Run, state_dir: Path) -> None:
    made = hub(*OWNER, given=PASSWORD)
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
    doctor = hub("doctor")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert "✓ durability: fsync on, full_page_writes on, synchronous_commit on" in doctor.stdout
    assert "✓ schema: current" in doctor.stdout
    assert "✗" not in doctor.stdout


def test_the_doctor_names_a_database_that_forgets(hub: Run, database_url: str) -> None:
    run = hub("doctor", "--json", HUB_DATABASE_URL=database_url)
    assert run.returncode == 1
    found = findings(run.stdout)
    assert found["durability"]["ok"] is False
    assert "turn fsync and full_page_writes and synchronous_commit on" in str(found["durability"]["next"])
    assert [name for name, finding in found.items() if finding["ok"] is False] == ["durability"]


def test_the_doctor_names_a_schema_that_is_behind(hub: Run, empty_url: str) -> None:
    found = findings(hub("doctor", "--json", HUB_DATABASE_URL=empty_url).stdout)
    assert found["schema"]["ok"] is False
    assert found["schema"]["next"] == "`hub migrate`"
    assert found["master key"]["ok"] is None


def test_the_doctor_names_an_unreachable_database(hub: Run) -> None:
    run = hub("doctor", HUB_DATABASE_URL="postgresql://hub@127.0.0.1:1/hub", HUB_CONNECT_TIMEOUT_SECONDS="1")
    assert run.returncode == 1
    assert "✗ database: the database is not reachable" in run.stdout
    assert "→ check HUB_DATABASE_URL" in run.stdout


def test_the_doctor_names_a_secret_others_can_read(hub: Run, state_dir: Path, database_url: str) -> None:
    hub("migrate", "--check", HUB_DATABASE_URL=database_url)
    secret = state_dir / "secrets" / "master-key"
    secret.write_text(NEW_KEY)
    secret.chmod(0o644)
    run = hub("doctor", HUB_DATABASE_URL=database_url)
    assert run.returncode == 1
    assert f"✗ state folder: {secret} is open to other users (0644)" in run.stdout
    assert NEW_KEY not in run.stdout + run.stderr


def test_the_doctor_names_wrong_settings(hub: Run) -> None:
    run = hub("doctor", "--json", HUB_BIND="x", HUB_POOLSIZE="1")
    assert run.returncode == 1
    assert [finding["check"] for finding in json.loads(run.stdout)] == ["settings", "settings"]
    assert "HUB_POOL_SIZE" in run.stdout


def test_the_doctor_examines_the_audit_log(hub: Run, postgres: PostgresServer, database_url: str) -> None:
    run = hub(*OWNER, HUB_DATABASE_URL=database_url, HUB_MASTER_KEY=NEW_KEY, given=PASSWORD + "\n")
    assert run.returncode == 0, run.stderr
    well = hub("doctor", "--audit", HUB_DATABASE_URL=database_url, HUB_MASTER_KEY=NEW_KEY)
    assert well.returncode == 0, well.stdout + well.stderr
    assert "✓ audit chain: 0 entries" in well.stdout
    assert "wait to be sealed" in well.stdout
    name = database_url.rpartition("/")[2].partition("?")[0]
    postgres.run("UPDATE audit_head SET number = 2", name)
    cut = hub("doctor", "--audit", HUB_DATABASE_URL=database_url, HUB_MASTER_KEY=NEW_KEY)
    assert cut.returncode == 1
    assert "✗ audit log: the tail was cut: the chain ends at number 0, its head says 2" in cut.stdout
