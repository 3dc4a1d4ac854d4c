"""Changes of agents in the fake tenant's book, by the rules of the real one."""

from __future__ import annotations

import msgspec

from actors.runtime.ports import Ids
from actors.tenant.changes import AgentChange, DeployAgent, RemoveAgent, UnlockExternalComms
from controlplane.store import agent_rules
from controlplane.store.agent_templates import TEMPLATES
from protocol.faults import Conflict, NotFound
from protocol.ids import AgentConfigId, OrderId, format_id
from protocol.objects import AgentConfig
from tests.fakes.ledger import Ledger


def changed(ledger: Ledger, change: AgentChange, ids: Ids) -> tuple[AgentConfig | None, AgentConfig]:
    """The agent before and after."""
    if isinstance(change, DeployAgent):
        before = None
        after = agent_rules.deployed(
            change,
            TEMPLATES.get(change.role),
            agent_config_id=AgentConfigId(format_id("agcfg", ids.uuid7())),
            order_id=OrderId(format_id("ord", ledger.id)),
            applications=[],
        )
        if after.agent_id in ledger.agents:
            raise Conflict(f"order {after.order_id} already has an agent {after.agent_id}")
    else:
        before = ledger.agents.get(change.agent)
        if before is None:
            raise NotFound(f"there is no agent {change.agent}")
        if isinstance(change, RemoveAgent):
            after = msgspec.structs.replace(before, is_active=False)
        elif isinstance(change, UnlockExternalComms):
            after = agent_rules.unlocked(before, change.unlocks)
        else:
            after = agent_rules.updated(before, change)
    return before, after
