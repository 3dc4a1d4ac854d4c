"""Nothing changes in silence: kinds of events stand in one list that is true, and audit entries say what changed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.api.asyncapi import SOCKETS, document, kinds_on
from controlplane.store.event_kinds import KINDS
from protocol.words import ApprovalStatus, CommandStatus, OrderStatus

HOUSE = Path(__file__).parents[2]
STORE = sorted((HOUSE / "controlplane" / "store").glob("*.py"))
SENTENCES = HOUSE / "controlplane" / "console" / "parts" / "events.js"

#: Kinds that are made of a status, in the words of the wire.
_STATUSES = {"order": OrderStatus, "command": CommandStatus, "approval": ApprovalStatus}


def camel(status: str) -> str:
    first, *others = status.lower().split("_")
    return first + "".join(word.capitalize() for word in others)


def calls(name: str) -> Iterator[tuple[Path, ast.Call]]:
    for path in STORE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
                yield path, node


def words_of_the_store() -> set[str]:
    return {
        node.value
        for path in STORE
        if path.name != "event_kinds.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_kind_on_the_list_is_told_by_somebody() -> None:
    words = words_of_the_store()
    statuses = {f"{room}.{camel(status)}" for room, every in _STATUSES.items() for status in every}
    silent = [kind for kind in KINDS if not {kind, kind.partition(".")[2]} & words and kind not in statuses]
    assert silent == []


def test_every_status_has_its_kind() -> None:
    """Kinds are put together of statuses; any other that is not on the list is refused by `emit_all`."""
    for room, every in _STATUSES.items():
        assert {f"{room}.{camel(status)}" for status in every if status != "PENDING"} <= KINDS.keys()


def test_every_kind_is_told_on_some_topic_and_stands_in_the_document() -> None:
    described = document(public_url="https://hub.example")["components"]["messages"]
    assert {name.removeprefix("event.") for name in described if name.startswith("event.")} == KINDS.keys()
    told = {kind for socket in SOCKETS for kind in kinds_on(socket)}
    assert told == KINDS.keys()


def test_the_console_has_a_sentence_for_every_kind_that_staff_are_told() -> None:
    sentences = set(re.findall(r'^  "([a-z]+\.[A-Za-z]+)":', SENTENCES.read_text(encoding="utf-8"), re.M))
    of_customers = {kind for kind in KINDS if kind.startswith("account.")}
    assert sentences == KINDS.keys() - of_customers


@pytest.mark.parametrize(
    "call", [pytest.param(call, id=f"{path.stem}:{call.lineno}") for path, call in calls("audit.record")]
)
def test_an_audit_entry_says_what_was_before_or_after(call: ast.Call) -> None:
    assert {"before", "after"} & {word.arg for word in call.keywords}
