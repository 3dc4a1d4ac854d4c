"""The scenarios are believable to the Hub: its roles, tools and classes; a file of one's own is told what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from controlplane.store.agent_templates import TEMPLATES
from controlplane.store.agent_templates.tools import TOOL_TABLE
from protocol.words import CommandClass
from wrapper.script import DEFAULT, BadScenario, Wish, names, scenario

RISKY = (CommandClass.RED, CommandClass.CRITICAL_RED)


def wishes(name: str) -> list[tuple[str, Wish]]:
    return [(agent, wish) for agent, wanted in scenario(name).agents.items() for wish in wanted]


def test_there_are_scenarios_and_the_default_is_one() -> None:
    assert DEFAULT in names()
    assert "common" not in names()


@pytest.mark.parametrize("name", names())
def test_a_scenario_asks_for_every_class_by_every_role_in_tools_of_that_role(name: str) -> None:
    wanted = wishes(name)
    assert set(scenario(name).agents) == set(TEMPLATES)
    assert set(scenario(name).opening) <= set(TEMPLATES)
    assert {TOOL_TABLE[wish.tool] for _, wish in wanted} == set(CommandClass)
    for agent, wish in wanted:
        # What is not risky asks, and is refused, by its class alone: the tool must be one of the role's.
        template = TEMPLATES[agent]
        assert wish.tool not in template.tools_denied, wish
        assert TOOL_TABLE[wish.tool] in RISKY or wish.tool in template.tools_allowed, wish


@pytest.mark.parametrize("name", names())
def test_an_impact_is_what_the_sentence_ends_with(name: str) -> None:
    for agent, wish in wishes(name):
        assert wish.says.startswith(f"{TEMPLATES[agent].name} wants to "), wish.says
        if wish.says.endswith(")"):
            assert wish.says.endswith(f"({wish.impact})")


def test_a_scenario_of_ones_own_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"about": "mine", "agents": {"sales": [{"tool": "shell", "says": "Sales wants a shell"}]}}')
    assert scenario(str(path)).agents == {"sales": [Wish(tool="shell", says="Sales wants a shell")]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ('{"about": "x", "agents": {"sales": []}}', r"\$.agents"),
        ('{"about": "x", "agents": {"sales": [{"tool": "shell"}]}}', "says"),
        ('{"about": "x", "agents": {}, "openings": []}', "openings"),
    ],
)
def test_a_wrong_scenario_is_told(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(BadScenario, match=words):
        scenario(str(path))


def test_an_unknown_scenario_is_told_with_those_there_are() -> None:
    with pytest.raises(BadScenario, match="agency"):
        scenario("bank")
    with pytest.raises(BadScenario, match="No such file"):
        scenario("bank.json")
