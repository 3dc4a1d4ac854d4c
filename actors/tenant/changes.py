"""What can be changed in a tenant's configuration, and the bounds of each value."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from protocol.words import ToolOverride

AGENTS_MOST: Final = 50
TOOLS_MOST: Final = 200
SOUL_MOST_CHARACTERS: Final = 100_000

Slug = Annotated[
    str, Meta(pattern=r"^[a-z][a-z0-9-]{0,62}$(?!\n)", description="lower-case letters, digits and hyphens")
]
AgentName = Annotated[str, Meta(min_length=1, max_length=100)]
Soul = Annotated[str, Meta(min_length=1, max_length=SOUL_MOST_CHARACTERS)]
ToolName = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_.:/-]{0,99}$(?!\n)")]
ToolList = Annotated[list[ToolName], Meta(max_length=TOOLS_MOST)]
ToolProfile = Literal["minimal", "coding", "messaging", "full"]
AutonomyLevel = Annotated[int, Meta(ge=1, le=3)]
Unlocks = Annotated[dict[ToolName, bool], Meta(max_length=TOOLS_MOST)]
Overrides = Annotated[dict[ToolName, ToolOverride], Meta(max_length=TOOLS_MOST)]


class AgentValues(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Values of an agent, each of which can be left out."""

    name: AgentName | UnsetType = UNSET
    soul_md: Soul | UnsetType = UNSET
    tools_allowed: ToolList | UnsetType = UNSET
    tools_denied: ToolList | UnsetType = UNSET
    tool_profile: ToolProfile | UnsetType = UNSET
    autonomy_level: AutonomyLevel | UnsetType = UNSET
    external_comms_unlocks: Unlocks | UnsetType | None = UNSET
    tool_overrides: Overrides | UnsetType = UNSET


class DeployAgent(AgentValues, frozen=True, rename="camel", kw_only=True):
    """A new agent; what is left out comes from its role's template.

    Args:
        role: a template's name, or any other word (then `name` and `soul_md` must be given).
        agent_id: the slug it is known by within its order; the role where left out.
    """

    role: Slug
    agent_id: Slug | UnsetType = UNSET


class UpdateAgent(AgentValues, frozen=True, rename="camel", kw_only=True):
    """Other values for an agent; what is left out stays.

    Args:
        agent: its slug, or its id (`agcfg_…`; no slug has an underscore).
        version: of the agent, as the author saw it; None: they did not say.
    """

    agent: str
    version: str | None = None
    role: Slug | UnsetType = UNSET


class UnlockExternalComms(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Open or shut an agent's gate to the outside for these tools; other tools' gates stay as they are."""

    agent: str
    version: str | None = None
    unlocks: Unlocks


class RemoveAgent(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Take an agent off the tenant; its history stays."""

    agent: str


AgentChange = DeployAgent | UpdateAgent | UnlockExternalComms | RemoveAgent
