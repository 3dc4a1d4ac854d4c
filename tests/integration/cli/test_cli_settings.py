"""`hub settings` and the ways a wrong setting stops a command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Run


def test_the_settings_are_listed_with_where_they_came_from(hub: Run) -> None:
    run = hub("settings", HUB_POOL_SIZE="4", DATABASE_URL="postgres://hub:hunter2@db/hub")
    assert run.returncode == 0, run.stderr
    assert "HUB_POOL_SIZE = 4   from HUB_POOL_SIZE" in run.stdout
    assert "HUB_DATABASE_URL = postgresql+asyncpg://hub:•••@db/hub   from DATABASE_URL" in run.stdout
    assert "HUB_MASTER_KEY = (made in the state folder)" in run.stdout
    assert "hunter2" not in run.stdout + run.stderr


def test_the_settings_as_json(hub: Run) -> None:
    run = hub("settings", "--json", HUB_CRON_SECRET="hunter2-hunter2-hunter2-hunter2")
    lines = {line["name"]: line for line in json.loads(run.stdout)}
    assert lines["HUB_CRON_SECRET"]["value"] == "•••"
    assert lines["HUB_BIND"] == {
        "name": "HUB_BIND",
        "value": "127.0.0.1:8000",
        "source": "default",
        "default": "127.0.0.1:8000",
        "description": lines["HUB_BIND"]["description"],
    }
    assert "hunter2" not in run.stdout + run.stderr


@pytest.mark.parametrize("command", [("settings",), ("serve",), ("migrate",), ("openapi",)])
def test_wrong_settings_stop_every_command_with_a_sentence_for_each(hub: Run, command: tuple[str, ...]) -> None:
    run = hub(*command, HUB_BIND="localhost", HUB_MASTER_KEY="hunter2", HUB_POOLSIZE="3")
    assert run.returncode == 2
    assert run.stdout == ""
    assert [line.split("=")[0].split()[:2] for line in run.stderr.splitlines()] == [
        ["hub:", "HUB_BIND"],
        ["hub:", "HUB_MASTER_KEY"],
        ["hub:", "HUB_POOLSIZE"],
    ]
    assert "hunter2" not in run.stderr


def test_a_bind_option_is_checked_like_its_variable(hub: Run) -> None:
    run = hub("serve", "--bind", "8000", HUB_BIND="127.0.0.1:1")
    assert run.returncode == 2
    assert run.stderr.startswith("hub: HUB_BIND='8000' has no port")


def test_nothing_is_made_by_looking(hub: Run, state_dir: Path) -> None:
    assert hub("settings").returncode == 0
    assert hub("doctor").returncode == 0
    assert not state_dir.exists()


def test_help_shows_every_command_and_an_unknown_one_is_refused(hub: Run) -> None:
    shown = hub("--help")
    assert shown.returncode == 0, shown.stderr
    for command in ("serve", "migrate", "create-owner", "settings", "openapi", "doctor"):
        assert f"\n  {command} " in shown.stdout
        assert "Examples:" in hub(command, "--help").stdout, command
    unknown = hub("serv")
    assert unknown.returncode == 2
    assert "No such command 'serv'" in unknown.stderr


def test_the_documentation_shows_the_settings_as_declared(hub: Run) -> None:
    documented = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    table = hub("settings", "--markdown").stdout
    assert table.startswith("| variable | default | meaning |")
    assert table in documented, "put the output of `hub settings --markdown` into docs/operations.md"
