"""Whether a tool call may run, must be asked for, or never runs: pure, from the configuration alone (DECISIONS 6).

green runs; yellow runs from autonomy level 2; yellow_external needs level 3 and its unlock; red and critical_red ask.
The class comes from the configuration's tool table, never from the caller, and an unknown tool is red. Overrides for a
tool come first, deny beats ask beats allow, and critical_red at least asks. A tool that is not on the list of those an
agent may use is at least asked for, unless an override speaks of it; an agent without such a list has no such limit.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.objects import AgentConfig, TenantConfig
from protocol.words import CommandClass, ToolOverride


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the configuration says of one tool call, and why, in words."""

    verdict: ToolOverride
    command_class: CommandClass
    why: str


def judge(config: TenantConfig | None, agent_id: str, tool_name: str) -> Ruling:
    """Judge one call; without a configuration, or for an agent it does not name, everything is asked for."""
    if config is None:
        return Ruling(ToolOverride.ASK, CommandClass.RED, "there is no configuration yet")
    command_class = config.tool_table.get(tool_name, CommandClass.RED)
    known = tool_name in config.tool_table
    what = f"{tool_name} is {command_class}" if known else f"{tool_name} is not in the tool table, which makes it red"
    agent = next((agent for agent in config.agents if agent.agent_id == agent_id), None)
    if agent is None:
        return Ruling(ToolOverride.ASK, command_class, f"the configuration does not know agent {agent_id}")
    if not agent.is_active:
        return Ruling(ToolOverride.DENY, command_class, f"agent {agent_id} is switched off")
    if tool_name in agent.tools_denied:
        return Ruling(ToolOverride.DENY, command_class, f"{tool_name} is denied to agent {agent_id}")
    override = agent.tool_overrides.get(tool_name)
    if override is not None:
        if override is ToolOverride.ALLOW and command_class is CommandClass.CRITICAL_RED:
            return Ruling(ToolOverride.ASK, command_class, "critical_red is always asked for")
        return Ruling(override, command_class, f"agent {agent_id} has the override {override} for {tool_name}")
    if agent.tools_allowed and tool_name not in agent.tools_allowed:
        return Ruling(ToolOverride.ASK, command_class, f"{tool_name} is not among the tools of agent {agent_id}")
    if _runs(command_class, agent, tool_name):
        return Ruling(ToolOverride.ALLOW, command_class, f"{what}, which runs at autonomy level {agent.autonomy_level}")
    return Ruling(ToolOverride.ASK, command_class, f"{what}, which asks at autonomy level {agent.autonomy_level}")


def _runs(command_class: CommandClass, agent: AgentConfig, tool_name: str) -> bool:
    match command_class:
        case CommandClass.GREEN:
            return True
        case CommandClass.YELLOW:
            return agent.autonomy_level >= 2
        case CommandClass.YELLOW_EXTERNAL:
            return agent.autonomy_level >= 3 and (agent.external_comms_unlocks or {}).get(tool_name, False)
        case _:
            return False
