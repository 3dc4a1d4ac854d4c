"""The roles an agent can be deployed in, and the tools they work with: data, in the words the agents read."""

from __future__ import annotations

from typing import Final

from controlplane.store.agent_templates import dispatcher, it_admin, marketing, sales, secretary
from controlplane.store.agent_templates.template import AgentTemplate

#: Role → template, in the order in which they are offered.
TEMPLATES: Final[dict[str, AgentTemplate]] = {
    module.TEMPLATE.role: module.TEMPLATE for module in (dispatcher, it_admin, marketing, secretary, sales)
}
