"""What the console computes of agents, in a browser: differences of texts, and what becomes of a tool's call."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import pytest
from playwright.sync_api import Page

from protocol.ids import AgentConfigId, OrderId
from protocol.objects import AgentConfig, TenantConfig
from protocol.words import CommandClass, ToolOverride
from tests.browser.conftest import World
from wrapper.policy import judge


@pytest.fixture
def page(world: World) -> Page:
    """A page of the Hub, so that its modules can be had; nobody is signed in."""
    return world.page("/sign-in")


def _call(page: Page, module: str, function: str, *arguments: Any) -> Any:
    """What a function answers that may use a module of the console, called `it`."""
    script = """async ([name, given]) => {
        const base = document.querySelector("script[type=module]").src.replace(/[^/]+$/, "");
        const it = await import(base + name);
        return (FUNCTION)(...given);
    }"""
    return page.evaluate(script.replace("FUNCTION", function), [module, list(arguments)])


def _kept(old: list[str], fresh: list[str]) -> int:
    """How many lines a shortest difference keeps (by the longest common subsequence)."""
    row = [0] * (len(fresh) + 1)
    for one in old:
        above = 0
        for index, other in enumerate(fresh, 1):
            above, row[index] = row[index], above + 1 if one == other else max(row[index], row[index - 1])
    return row[-1]


def _lines(text: str) -> list[str]:
    return text.split("\n") if text else []


def test_a_difference_is_the_shortest_and_makes_one_text_of_the_other(page: Page) -> None:
    chance = random.Random(5)
    texts = ["", "a", "\n", "a\n", "\n\na"]
    texts += ["\n".join(chance.choices("abcd", k=chance.randrange(14))) for _ in range(400)]
    pairs = list(zip(texts, reversed(texts), strict=True)) + [(text, text) for text in texts[:40]]
    found = _call(page, "line_diff.js", "(pairs) => pairs.map(([one, other]) => it.lineDifference(one, other))", pairs)
    for (before, after), rows in zip(pairs, found, strict=True):
        old = [row for row in rows if row["look"] != "add"]
        fresh = [row for row in rows if row["look"] != "del"]
        assert [row["text"] for row in old] == _lines(before), (before, after)
        assert [row["text"] for row in fresh] == _lines(after), (before, after)
        assert [row["old"] for row in old] == list(range(1, len(old) + 1))
        assert [row["fresh"] for row in fresh] == list(range(1, len(fresh) + 1))
        assert sum(not row["look"] for row in rows) == _kept(_lines(before), _lines(after)), (before, after)


def test_a_difference_of_long_texts_is_bounded_and_still_true(page: Page) -> None:
    before = [f"line {number}" for number in range(50_000)]
    for after in (
        [f"other {number}" for number in range(50_000)],  # nothing stays
        [one for index, one in enumerate(before) if index % 97],
        [*before[:10], "new", *before[10:]],
        ["x" * 100_000],
    ):
        counts = """(before, after) => {
            const rows = it.lineDifference(before.join("\\n"), after.join("\\n"));
            const part = (but) => rows.filter((one) => one.look !== but).map((one) => one.text).join("\\n");
            return [part("add") === before.join("\\n"), part("del") === after.join("\\n"), it.stretches(rows).length];
        }"""
        old, fresh, stretches = _call(page, "line_diff.js", counts, before, after)
        assert (old, fresh) == (True, True)
        assert stretches <= 600


def test_line_breaks_of_every_kind_are_one(page: Page) -> None:
    rows = _call(page, "line_diff.js", "(one, other) => it.lineDifference(one, other)", "a\r\nb\rc", "a\nb\nc")
    assert [row["look"] for row in rows] == ["", "", ""]


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ("Write a draft today", "Write two drafts today", ("Write ", "a draft", "two drafts", " today")),
        ("same head 😀 same tail", "same head 😎 same tail", ("same head ", "😀", "😎", " same tail")),
        ("aaaa", "aaaaaa", ("aaaa", "", "aa", "")),
        ("wholly other", "nichts davon", None),
    ],
)
def test_what_differs_within_a_line_is_found_by_whole_characters(
    page: Page, before: str, after: str, wanted: tuple[str, str, str, str] | None
) -> None:
    found = _call(page, "line_diff.js", "(one, other) => it.within(one, other)", before, after)
    assert (found and (found["head"], found["before"], found["after"], found["tail"])) == wanted


def _agent(**values: Any) -> AgentConfig:
    given: dict[str, Any] = {
        "tools_allowed": [],
        "tools_denied": [],
        "autonomy_level": 1,
        "external_comms_unlocks": None,
        **values,
    }
    return AgentConfig(
        id=AgentConfigId("agcfg_1"),
        order_id=OrderId("ord_1"),
        agent_id="it-admin",
        name="IT Admin",
        role="it-admin",
        soul_md="# IT",
        tool_profile="coding",
        is_active=True,
        **given,
    )


def test_the_console_foretells_what_the_wrapper_does(page: Page) -> None:
    lists = ((), ("tool",), ("other",))
    cases = [
        (command_class, level, allowed, denied, override, gate)
        for command_class, level, allowed, denied, override, gate in product(
            CommandClass, (1, 2, 3), lists, (False, True), (None, *ToolOverride), (None, False, True)
        )
        if not (denied and "tool" in allowed)
    ]
    wanted, told = [], []
    for command_class, level, allowed, denied, override, gate in cases:
        agent = _agent(
            autonomy_level=level,
            tools_allowed=list(allowed),
            tools_denied=["tool"] if denied else [],
            external_comms_unlocks=None if gate is None else {"tool": gate},
            tool_overrides={} if override is None else {"tool": override},
        )
        config = TenantConfig(
            config_version=1,
            agents=[agent],
            tool_table={"tool": command_class},
            model_routing={},
            heartbeat_seconds=30,
        )
        wanted.append(str(judge(config, "it-admin", "tool").verdict))
        fields = {"autonomyLevel": level, "list tool": "denied" if denied else "allowed" if "tool" in allowed else None}
        told.append([fields | {"rule tool": override, "gate tool": gate}, str(command_class), bool(allowed)])
    asked = """(cases) => cases.map(([fields, commandClass, limited]) =>
        it.judge((name) => fields[name] ?? null, { name: "tool", commandClass }, limited).verdict)"""
    assert _call(page, "agent_shape.js", asked, told) == wanted
    assert {"allow", "ask", "deny"} == set(wanted)


def test_changes_of_single_tools_become_whole_lists(page: Page) -> None:
    agent = {
        "toolsAllowed": ["a", "b"],
        "toolsDenied": ["c"],
        "toolOverrides": {"a": "ask"},
        "externalCommsUnlocks": None,
    }
    changed = {
        "list a": "denied",
        "list c": None,
        "list d": "allowed",
        "rule a": None,
        "rule b": "deny",
        "gate m": True,
    }
    body = _call(page, "agent_shape.js", "(agent, changed) => it.patchOf(agent, changed)", agent, changed)
    assert body == {
        "toolsAllowed": ["b", "d"],
        "toolsDenied": ["a"],
        "toolOverrides": {"b": "deny"},
        "externalCommsUnlocks": {"m": True},
    }
    assert agent["toolsAllowed"] == ["a", "b"]
    assert _call(page, "agent_shape.js", "(agent) => it.patchOf(agent, { name: 'Ada' })", agent) == {"name": "Ada"}
