"""What the page says of reports, options, endings and figures is what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from protocol.tenant import CloseCode
from wrapper import answerers, containers
from wrapper.cli import main
from wrapper.journal import database
from wrapper.journal import reports as journal
from wrapper.reading import read_fields
from wrapper.reports import ActivityReport, BackupReport, UsageReport

PAGE = (Path(__file__).parents[3] / "docs" / "wrapper.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("word", "wanted"), [("usage", UsageReport), ("activity", ActivityReport), ("backup", BackupReport)]
)
def test_a_report_says_all_there_is_and_nothing_else(word: str, wanted: Any) -> None:
    (text,) = re.findall(rf"^```json report-{word}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    written = json.loads(text)
    read_fields(written, wanted)
    assert set(written) == {field.encode_name for field in msgspec.structs.fields(wanted)}


def options_of(command: click.Command) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts if name.startswith("--")}


def test_every_option_that_is_named_exists() -> None:
    assert isinstance(main, click.Group)
    known = {"--help"}
    groups = [main, *(one for one in main.commands.values() if isinstance(one, click.Group))]
    for group in groups:
        for command in group.commands.values():
            known |= options_of(command)
    foreign = {"--require-hashes", "--no-deps", "--no-build-isolation", "--version", "--now", "--target"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", PAGE)) - foreign <= known


def test_every_option_of_webhooks_is_told_in_the_words_of_its_help() -> None:
    told = dict(re.findall(r"^\| `(--[a-z0-9-]+)(?: [A-Z:]+)?` \| (.+) \|$", PAGE, re.MULTILINE))
    helps = {option.opts[0]: option.help for option in main.commands["run"].params if isinstance(option, click.Option)}  # type: ignore[attr-defined]
    wanted = {name for name in helps if "webhook" in name or name in ("--accept-v1", "--diun-token-file")}
    assert wanted == {"--webhooks", "--webhook-url", "--accept-v1", "--diun-token-file"}
    assert {name: told.get(name) for name in wanted} == {name: helps[name] for name in wanted}


def test_every_option_of_install_is_told() -> None:
    own = options_of(main.commands["install"])  # type: ignore[attr-defined]
    assert {name for name in own if name not in PAGE} == {"--environment-file", "--program"}


def test_every_close_code_is_told_with_what_to_do() -> None:
    codes = {value for name, value in vars(CloseCode).items() if name.isupper()}
    told = {
        int(code)
        for row in re.findall(r"^\| .*closed ([0-9, ]+)", PAGE, re.MULTILINE)
        for code in row.split(",")[:3]
        if code.strip()
    }
    assert codes <= told


def test_the_figures_are_the_codes() -> None:
    assert f"{journal.ACTIVITIES:,} activities are kept" in PAGE
    assert f"The last {journal.REMEMBERED_IDS:,} ids" in PAGE
    assert f"{database.OWED_LIMIT:,} messages of all kinds" in PAGE
    assert f"up to {journal.KEPT.days} days old" in PAGE
    assert f"with {answerers.NOT_FOUND_STATUS} when there is no such thing" in PAGE
    assert journal.ROOM * 2 == journal.ACTIVITIES
    assert f"`{containers.TOOL_LABELS[0]}`" in PAGE
