"""Command class × autonomy level × override × unlock, written out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.objects import AgentConfig, TenantConfig
from protocol.words import CommandClass, ToolOverride
from wrapper.policy import judge

TOOLS = {
    "look": CommandClass.GREEN,
    "restart": CommandClass.YELLOW,
    "send": CommandClass.YELLOW_EXTERNAL,
    "delete": CommandClass.RED,
    "drop": CommandClass.CRITICAL_RED,
}


def config(level: int = 1, **changes: Any) -> TenantConfig:
    fields: dict[str, Any] = {
        "id": "agcfg_1",
        "order_id": "ord_1",
        "agent_id": "it-admin",
        "name": "IT Admin",
        "role": "it-admin",
        "soul_md": "",
        "tools_allowed": [],
        "tools_denied": [],
        "tool_profile": "coding",
        "autonomy_level": level,
        "external_comms_unlocks": None,
        "is_active": True,
    }
    agent = AgentConfig(**(fields | changes))
    return TenantConfig(config_version=1, agents=[agent], tool_table=TOOLS, model_routing={}, heartbeat_seconds=30)


#: Class → what happens at levels 1, 2 and 3, without and with an unlock, when no override speaks of the tool.
#: a: runs, ?: asks. Written by hand from the specification's words, not from the code.
BY_LEVEL = {
    #                  locked   unlocked
    "green": ("aaa", "aaa"),
    "yellow": ("?aa", "?aa"),
    "yellow_external": ("???", "??a"),
    "red": ("???", "???"),
    "critical_red": ("???", "???"),
    "unknown": ("???", "???"),
}
#: Override → what becomes of a tool whatever its class and level; critical_red at least asks.
BY_OVERRIDE = {"allow": "a", "ask": "?", "deny": "-"}
WORDS = {"a": "allow", "?": "ask", "-": "deny"}
TOOL_OF = {**{kind.value: tool for tool, kind in TOOLS.items()}, "unknown": "launch"}


@pytest.mark.parametrize("unlocked", [None, False, True])
@pytest.mark.parametrize("override", [None, "allow", "ask", "deny"])
@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("kind", BY_LEVEL)
def test_every_class_level_override_and_unlock(kind: str, level: int, override: str | None, unlocked: bool | None):
    tool = TOOL_OF[kind]
    expected = BY_LEVEL[kind][unlocked is True][level - 1] if override is None else BY_OVERRIDE[override]
    if kind == "critical_red" and override == "allow":
        expected = "?"
    changes: dict[str, Any] = {"external_comms_unlocks": None if unlocked is None else {tool: unlocked}}
    if override is not None:
        changes["tool_overrides"] = {tool: ToolOverride(override)}
    for listed in ([], [tool, "another"]):
        ruling = judge(config(level, tools_allowed=listed, **changes), "it-admin", tool)
        assert ruling.verdict.value == WORDS[expected]
        assert ruling.command_class.value == ("red" if kind == "unknown" else kind)
        assert ruling.why
    denied = judge(config(level, tools_denied=[tool], **changes), "it-admin", tool)
    assert denied.verdict is ToolOverride.DENY


@pytest.mark.parametrize("kind", BY_LEVEL)
@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_tool_that_is_not_on_the_agents_list_at_least_asks(kind: str, level: int):
    tool = TOOL_OF[kind]
    unlocked = config(level, tools_allowed=["another"], external_comms_unlocks={tool: True})
    assert judge(unlocked, "it-admin", tool).verdict is ToolOverride.ASK
    spoken_of = config(level, tools_allowed=["another"], tool_overrides={tool: ToolOverride.ALLOW})
    expected = ToolOverride.ASK if kind == "critical_red" else ToolOverride.ALLOW
    assert judge(spoken_of, "it-admin", tool).verdict is expected


def test_names_are_taken_to_the_letter():
    for name in ("Look", "look ", "LOOK", "l\u043eok", ""):
        assert judge(config(3), "it-admin", name).command_class is CommandClass.RED
        assert judge(config(3), "it-admin", name).verdict is ToolOverride.ASK
    assert judge(config(3), "IT-Admin", "look").verdict is ToolOverride.ASK


def test_an_unlock_is_for_its_tool_and_needs_level_three():
    assert judge(config(2, external_comms_unlocks={"send": True}), "it-admin", "send").verdict is ToolOverride.ASK
    assert judge(config(3, external_comms_unlocks={"send": False}), "it-admin", "send").verdict is ToolOverride.ASK
    assert judge(config(3, external_comms_unlocks={"post": True}), "it-admin", "send").verdict is ToolOverride.ASK


@pytest.mark.parametrize(
    ("tool", "override", "verdict"),
    [
        ("delete", "allow", "allow"),
        ("look", "ask", "ask"),
        ("look", "deny", "deny"),
        ("drop", "allow", "ask"),
        ("drop", "deny", "deny"),
        ("unknown", "allow", "allow"),
    ],
)
def test_overrides_come_first_but_critical_red_always_asks(tool: str, override: str, verdict: str):
    overridden = config(1, tool_overrides={tool: ToolOverride(override)})
    assert judge(overridden, "it-admin", tool).verdict.value == verdict


def test_deny_beats_everything():
    denied = config(3, tools_denied=["look"], tool_overrides={"look": ToolOverride.ALLOW})
    assert judge(denied, "it-admin", "look").verdict is ToolOverride.DENY
    assert judge(config(3, is_active=False), "it-admin", "look").verdict is ToolOverride.DENY


def test_without_a_configuration_or_for_an_unknown_agent_everything_is_asked_for():
    assert judge(None, "it-admin", "look").verdict is ToolOverride.ASK
    assert judge(None, "it-admin", "look").command_class is CommandClass.RED
    assert judge(config(3), "stranger", "look").verdict is ToolOverride.ASK
