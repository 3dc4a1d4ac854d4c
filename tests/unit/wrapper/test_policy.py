"""Command class × autonomy level, written out by hand."""

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


@pytest.mark.parametrize(
    ("tool", "level_1", "level_2", "level_3", "level_3_unlocked"),
    [
        ("look", "allow", "allow", "allow", "allow"),
        ("restart", "ask", "allow", "allow", "allow"),
        ("send", "ask", "ask", "ask", "allow"),
        ("delete", "ask", "ask", "ask", "ask"),
        ("drop", "ask", "ask", "ask", "ask"),
        ("unknown", "ask", "ask", "ask", "ask"),
    ],
)
def test_the_table(tool: str, level_1: str, level_2: str, level_3: str, level_3_unlocked: str):
    unlocked = config(3, external_comms_unlocks={"send": True, "delete": True, "drop": True, "unknown": True})
    found = [judge(at, "it-admin", tool).verdict.value for at in (config(1), config(2), config(3), unlocked)]
    assert found == [level_1, level_2, level_3, level_3_unlocked]


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
