"""The tools an agent has or could be given: how much harm each does, whose it is, what the agent's role says of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from controlplane.store.agent_templates import TEMPLATES
from controlplane.store.agent_templates.tools import TOOL_TABLE, application_of, class_of
from protocol.objects import AgentConfig, Spoken
from protocol.words import CommandClass


class AgentTool(Spoken):
    """One tool, as whoever shapes an agent needs to know it.

    Args:
        application: the one it works on; None: a general tool.
        of_role: what the template of the agent's role says of it; None: nothing.
    """

    name: str
    command_class: CommandClass
    application: str | None
    of_role: Literal["allowed", "denied"] | None


def tools_for(agent: AgentConfig, applications: Iterable[str]) -> Sequence[AgentTool]:
    """Every tool that fits the agent's server, and every one the agent or its role names, general ones first.

    Args:
        applications: those on the order.
    """
    template = TEMPLATES.get(agent.role)
    allowed = frozenset(template.tools_allowed if template else ())
    denied = frozenset(template.tools_denied if template else ())
    present = {*applications, None}
    named = {*agent.tools_allowed, *agent.tools_denied, *agent.tool_overrides, *(agent.external_comms_unlocks or {})}
    fitting = {tool for tool in TOOL_TABLE if application_of(tool) in present}
    return [
        AgentTool(
            name=tool,
            command_class=class_of(tool),
            application=application_of(tool),
            of_role="allowed" if tool in allowed else "denied" if tool in denied else None,
        )
        for tool in sorted(named | denied | fitting, key=lambda tool: (application_of(tool) or "", tool))
    ]
