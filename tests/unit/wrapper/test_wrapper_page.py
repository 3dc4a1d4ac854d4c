"""The page for whoever installs the wrapper is true: its examples are read by the code that they are about."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from wrapper.agent_tokens import read_agent_tokens
from wrapper.executors.declaration import Declaration, read_declarations
from wrapper.executors.declaration import _Table as Table
from wrapper.gate_api import (
    OUTCOME_SECONDS,
    WAIT_LIMIT_SECONDS,
    WAIT_SECONDS,
    WAITING_REQUESTS,
    GateAnswer,
    GateRequest,
    OutcomeReport,
)
from wrapper.reading import read_fields

PAGE = (Path(__file__).parents[3] / "docs" / "wrapper.md").read_text(encoding="utf-8")


def example(words: str) -> str:
    (found,) = re.findall(rf"^```{words}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.mark.parametrize(
    ("word", "wanted"), [("gate-request", GateRequest), ("gate-answer", GateAnswer), ("gate-outcome", OutcomeReport)]
)
def test_an_example_says_all_there_is_and_nothing_else(word: str, wanted: Any):
    written = json.loads(example(f"json {word}"))
    read_fields(written, wanted)
    assert set(written) == {field.encode_name for field in msgspec.structs.fields(wanted)}


def test_the_executor_file_is_one(tmp_path: Path):
    text = re.sub(r'program = \["[^"]+"', f'program = ["{sys.executable}"', example("toml executors"))
    path = tmp_path / "executors.toml"
    path.write_text(text.replace('"/opt/letsbe"', f'"{tmp_path}"'))
    found = read_declarations(path)
    assert sorted(found) == ["RESTART_SERVICE", "RUN_BACKUP", "UPDATE_CONFIG"]
    assert found["RUN_BACKUP"].arguments({})[1:] == ["--target", "nightly"]
    assert isinstance(found["UPDATE_CONFIG"], Declaration)


def test_every_field_of_a_table_is_told():
    for field in msgspec.structs.fields(Table):
        assert field.name == "fields" or f"| `{field.name}` |" in PAGE


def test_the_figures_are_the_codes():
    assert f"0 to {WAIT_LIMIT_SECONDS}, else {WAIT_SECONDS}" in PAGE
    assert OUTCOME_SECONDS == 3600
    assert f"at most {WAITING_REQUESTS} requests waiting" in PAGE


def test_the_file_of_tokens_is_one(tmp_path: Path):
    path = tmp_path / "agent-tokens.toml"
    path.touch(mode=0o600)
    path.write_text(example("toml agent-tokens"))
    token = re.findall(r'it-admin = "(\w+)"', path.read_text())[0]
    assert read_agent_tokens(path).owner({"authorization": f"Bearer {token}"}) == "it-admin"
