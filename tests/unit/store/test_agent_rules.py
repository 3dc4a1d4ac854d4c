"""What an agent's configuration may be, and what a customer may change of it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from actors.tenant.changes import SOUL_MOST_CHARACTERS, AgentChange, DeployAgent, UnlockExternalComms, UpdateAgent
from controlplane.store import agent_rules
from controlplane.store.agent_templates import TEMPLATES
from protocol.faults import ValidationError
from protocol.ids import AgentConfigId, OrderId
from protocol.objects import AgentConfig
from protocol.words import ToolOverride

ALLOW, ASK, DENY = ToolOverride.ALLOW, ToolOverride.ASK, ToolOverride.DENY


def deployed(change: DeployAgent, *applications: str) -> AgentConfig:
    return agent_rules.deployed(
        change,
        TEMPLATES.get(change.role),
        agent_config_id=AgentConfigId("agcfg_x"),
        order_id=OrderId("ord_x"),
        applications=applications,
    )


def agent(**values: Any) -> AgentConfig:
    return replace(deployed(DeployAgent(role="sales")), **{"tools_allowed": [], "tools_denied": [], **values})


def fields_of(error: pytest.ExceptionInfo[ValidationError]) -> list[str]:
    return [problem.field for problem in error.value.details]


def test_a_role_with_a_template_gives_all_that_was_left_out():
    secretary = deployed(DeployAgent(role="secretary"), "calcom")
    template = TEMPLATES["secretary"]
    assert (secretary.agent_id, secretary.name, secretary.soul_md) == ("secretary", "Secretary", template.soul_md)
    assert (secretary.tool_profile, secretary.autonomy_level) == ("messaging", 2)
    assert secretary.external_comms_unlocks is None


def test_a_template_brings_the_tools_of_the_applications_on_the_order_only():
    tools = deployed(DeployAgent(role="marketing"), "ghost").tools_allowed
    assert "ghost_post_read" in tools
    assert "web_search" in tools
    assert not [tool for tool in tools if tool.startswith(("listmonk_", "umami_", "nextcloud_"))]


def test_a_template_yields_to_what_was_said():
    admin = deployed(DeployAgent(role="it-admin", tools_denied=["shell"], autonomy_level=1, name="Ada"))
    assert "shell" not in admin.tools_allowed
    assert (admin.tools_denied, admin.autonomy_level, admin.name) == (["shell"], 1, "Ada")
    sender = deployed(DeployAgent(role="it-admin", tools_allowed=["email_send"]))
    assert sender.tools_allowed == ["email_send"]
    assert "email_send" not in sender.tools_denied
    agent_rules.check(None, admin)
    agent_rules.check(None, sender)


def test_a_role_without_a_template_needs_a_name_and_a_character():
    with pytest.raises(ValidationError) as error:
        deployed(DeployAgent(role="poet"))
    assert fields_of(error) == ["name", "soulMd"]
    poet = deployed(DeployAgent(role="poet", name="Poet", soul_md="# Poet"))
    assert (poet.tools_allowed, poet.tool_profile, poet.autonomy_level) == ([], "minimal", 1)


def test_an_update_leaves_alone_what_it_does_not_name():
    before = agent(tool_overrides={"shell": DENY})
    after = agent_rules.updated(before, UpdateAgent(agent="sales", autonomy_level=3))
    assert after == replace(before, autonomy_level=3)
    assert agent_rules.updated(before, UpdateAgent(agent="sales", external_comms_unlocks=None)) == before


def test_unlocks_are_merged():
    before = agent(external_comms_unlocks={"email_send": True, "sms_send": False})
    after = agent_rules.unlocked(before, {"sms_send": True, "odoo_quote_send": False})
    assert after.external_comms_unlocks == {"email_send": True, "sms_send": True, "odoo_quote_send": False}
    assert agent_rules.unlocked(agent(), {"sms_send": True}).external_comms_unlocks == {"sms_send": True}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (DeployAgent(role="Sales"), "role"),
        (DeployAgent(role="sales\n"), "role"),
        (DeployAgent(role="sales", agent_id="a" * 64), "agentId"),
        (DeployAgent(role="sales", soul_md=""), "soulMd"),
        (DeployAgent(role="sales", soul_md="x" * (SOUL_MOST_CHARACTERS + 1)), "soulMd"),
        (DeployAgent(role="sales", soul_md="a\0b"), "soulMd"),
        (UpdateAgent(agent="sales", name=""), "name"),
        (UpdateAgent(agent="sales", autonomy_level=4), "autonomyLevel"),
        (UpdateAgent(agent="sales", tool_profile="root"), "toolProfile"),  # type: ignore[arg-type]
        (UpdateAgent(agent="sales", tools_allowed=["x" * 101]), "toolsAllowed[0]"),
        (UpdateAgent(agent="sales", tools_allowed=["x"] * 201), "toolsAllowed"),
        (UpdateAgent(agent="sales", tool_overrides={"shell": "perhaps"}), "toolOverrides[...]"),  # type: ignore[dict-item]
    ],
)
def test_values_keep_their_bounds(change: AgentChange, field: str):
    with pytest.raises(ValidationError) as error:
        agent_rules.within_bounds(change)
    assert fields_of(error) == [field]


def test_a_sound_change_passes_unchanged():
    change = UnlockExternalComms(agent="sales", unlocks={"email_send": True})
    assert agent_rules.within_bounds(change) == change


def test_every_contradiction_is_named():
    after = agent(
        tools_allowed=["shell", "docker", "docker"],
        tools_denied=["shell"],
        external_comms_unlocks={"shell": True, "email_send": True},
        tool_overrides={"volume_remove": ALLOW, "shell": ALLOW},
    )
    with pytest.raises(ValidationError) as error:
        agent_rules.check(None, after)
    assert fields_of(error) == [
        "toolsAllowed",
        "toolsDenied",
        "externalCommsUnlocks.shell",
        "toolOverrides.volume_remove",
    ]


def test_an_overlap_is_told_of_the_list_that_changed():
    before = agent(tools_denied=["shell"])
    with pytest.raises(ValidationError) as error:
        agent_rules.check(before, replace(before, tools_allowed=["shell"]))
    assert fields_of(error) == ["toolsAllowed"]


def test_an_old_entry_never_blocks_a_new_change():
    before = agent(external_comms_unlocks={"fax_send": True}, tool_overrides={"volume_remove": ALLOW})
    agent_rules.check(before, replace(before, name="Other"))


CUSTOMER_REFUSED = [
    (agent(), {"tools_allowed": ["shell"]}, "toolsAllowed"),
    (agent(), {"tools_allowed": ["a_tool_nobody_knows"]}, "toolsAllowed"),
    (agent(tools_denied=["shell"]), {"tools_denied": []}, "toolsDenied"),
    (agent(), {"tool_overrides": {"file_delete": ALLOW}}, "toolOverrides.file_delete"),
    (agent(), {"tool_overrides": {"email_send": ALLOW}}, "toolOverrides.email_send"),
    (
        agent(tool_overrides={"file_delete": ASK}),
        {"tool_overrides": {"file_delete": ALLOW}},
        "toolOverrides.file_delete",
    ),
    (agent(tool_overrides={"file_delete": DENY}), {"tool_overrides": {}}, "toolOverrides.file_delete"),
    (
        agent(tool_overrides={"file_delete": DENY}),
        {"tool_overrides": {"file_delete": ASK}},
        "toolOverrides.file_delete",
    ),
]


@pytest.mark.parametrize(("before", "values", "field"), CUSTOMER_REFUSED)
def test_a_customer_cannot_widen_an_agent_to_what_is_red(before: AgentConfig, values: dict[str, Any], field: str):
    with pytest.raises(ValidationError) as error:
        agent_rules.check_customer(before, replace(before, **values), TEMPLATES["sales"])
    assert fields_of(error) == [field]


CUSTOMER_MAY = [
    (agent(tools_allowed=["shell", "email_read"]), {"tools_allowed": []}),
    (agent(tools_allowed=["shell"]), {"tools_allowed": ["shell", "email_read", "email_send"]}),
    (agent(), {"tools_denied": ["shell"]}),
    (agent(tools_denied=["email_send"]), {"tools_denied": []}),
    (agent(), {"tool_overrides": {"shell": DENY, "docker": ASK, "file_write": ALLOW, "file_read": ALLOW}}),
    (agent(tool_overrides={"shell": ALLOW}), {"tool_overrides": {"shell": ALLOW, "docker": DENY}}),
    (agent(tool_overrides={"shell": ALLOW, "file_write": DENY}), {"tool_overrides": {}}),
    (agent(), {"soul_md": "# Mine", "name": "Mine", "autonomy_level": 3}),
]


@pytest.mark.parametrize(("before", "values"), CUSTOMER_MAY)
def test_a_customer_may_narrow_freely_and_widen_short_of_red(before: AgentConfig, values: dict[str, Any]):
    agent_rules.check_customer(before, replace(before, **values), TEMPLATES["sales"])


def test_a_customer_may_put_back_what_the_roles_template_has():
    before = agent(role="it-admin", tools_allowed=["docker"])
    agent_rules.check_customer(before, replace(before, tools_allowed=["docker", "shell"]), TEMPLATES["it-admin"])
