"""What a role's template says: who the agent is, what it may use, how far it may go by itself."""

from __future__ import annotations

from typing import Literal

import msgspec


class AgentTemplate(msgspec.Struct, frozen=True, rename="camel"):
    """The defaults of one role.

    Args:
        id: the template's name, which is the role's.
        description: one line for the person who chooses.
        soul_md: the agent's character and rules, Markdown; the wrapper hands it to the model as it is.
        tools_allowed: general tools, and those of every application the role works with.
        tool_profile: OpenClaw's own tool profile.
        autonomy_level: 1 asks for all but reading, 2 for what is red or leaves the house, 3 for what is red.
        external_comms_unlocks: None: every gate to the outside is shut.
    """

    id: str
    name: str
    role: str
    description: str
    soul_md: str
    tools_allowed: list[str]
    tools_denied: list[str]
    tool_profile: Literal["minimal", "coding", "messaging", "full"]
    autonomy_level: int
    external_comms_unlocks: dict[str, bool] | None = None
