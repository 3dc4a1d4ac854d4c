"""The roles that are offered, and the tool table they rest on."""

from __future__ import annotations

import re

import pytest

from actors.tenant.changes import DeployAgent
from controlplane.store import agent_rules
from controlplane.store.agent_templates import TEMPLATES
from controlplane.store.agent_templates.template import AgentTemplate
from controlplane.store.agent_templates.tools import APPLICATIONS, TOOL_TABLE, application_of, class_of
from protocol.ids import AgentConfigId, OrderId
from protocol.words import CommandClass

EACH = pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES.keys())


def test_the_five_roles_are_offered():
    assert list(TEMPLATES) == ["dispatcher", "it-admin", "marketing", "secretary", "sales"]


@EACH
def test_a_template_makes_a_sound_agent(template: AgentTemplate):
    change = agent_rules.within_bounds(DeployAgent(role=template.role))
    assert isinstance(change, DeployAgent)
    agent = agent_rules.deployed(
        change,
        template,
        agent_config_id=AgentConfigId("agcfg_x"),
        order_id=OrderId("ord_x"),
        applications=APPLICATIONS,
    )
    assert agent.tools_allowed == template.tools_allowed
    agent_rules.check(None, agent)


@EACH
def test_a_template_names_tools_of_the_table_only(template: AgentTemplate):
    assert [tool for tool in (*template.tools_allowed, *template.tools_denied) if tool not in TOOL_TABLE] == []


@EACH
def test_a_template_opens_no_gate_and_gives_nothing_critical(template: AgentTemplate):
    assert template.external_comms_unlocks is None
    assert [tool for tool in template.tools_allowed if class_of(tool) is CommandClass.CRITICAL_RED] == []


@EACH
def test_a_character_says_who_how_and_what_not(template: AgentTemplate):
    lines = template.soul_md.splitlines()
    assert lines[0] == f"# {template.name}"
    assert 25 <= len(lines) <= 45
    assert max(len(line) for line in lines) <= 120
    for heading in ("## Identity", "## How you work", "## Limits", "## Tone"):
        assert heading in lines


@EACH
def test_tools_named_in_a_character_are_its_own(template: AgentTemplate):
    named = re.findall(r"`([a-z]+(?:_[a-z]+)+)`", template.soul_md)
    assert named, "a character names the tool for what it must not put off"
    assert [tool for tool in named if tool not in TOOL_TABLE or tool not in template.tools_allowed] == []


@EACH
def test_a_character_says_what_to_do_in_an_emergency(template: AgentTemplate):
    rule = template.soul_md.partition("## Limits")[2].partition("- In an emergency")[2].partition("\n## ")[0]
    assert "tell the owner" in " ".join(rule.split())


@EACH
def test_what_a_template_denies_it_does_not_allow(template: AgentTemplate):
    assert set(template.tools_allowed) & set(template.tools_denied) == set()
    assert len(set(template.tools_denied)) == len(template.tools_denied)


@pytest.mark.parametrize(
    ("role", "sentence", "denied"),
    [
        (
            "sales",
            "Never post or send an invoice, never register a payment",
            {"odoo_invoice_post", "odoo_invoice_send", "odoo_payment_register"},
        ),
        (
            "secretary",
            "You delete nothing by yourself",
            {"file_delete", "nextcloud_file_delete"},
        ),
        ("it-admin", "Never delete a backup", {"backup_delete"}),
        ("it-admin", "the firewall: report, propose, and let a person decide", {"firewall_update"}),
    ],
)
def test_what_a_character_must_never_do_is_denied(role: str, sentence: str, denied: set[str]):
    template = TEMPLATES[role]
    assert sentence in template.soul_md
    assert denied <= set(template.tools_denied)


def test_every_application_has_tools():
    assert {application_of(tool) for tool in TOOL_TABLE} == {*APPLICATIONS, None}


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ("file_read", CommandClass.GREEN),
        ("web_search", CommandClass.GREEN),
        ("file_write", CommandClass.YELLOW),
        ("env_read", CommandClass.YELLOW),
        ("env_update", CommandClass.YELLOW),
        ("email_send", CommandClass.YELLOW_EXTERNAL),
        ("shell", CommandClass.RED),
        ("docker", CommandClass.RED),
        ("file_delete", CommandClass.RED),
        ("backup_delete", CommandClass.CRITICAL_RED),
        ("a_tool_nobody_knows", CommandClass.RED),
    ],
)
def test_the_class_of_a_tool(tool: str, expected: CommandClass):
    assert class_of(tool) is expected


def test_what_deletes_is_never_less_than_red():
    harmless = {CommandClass.GREEN, CommandClass.YELLOW, CommandClass.YELLOW_EXTERNAL}
    assert [tool for tool, kind in TOOL_TABLE.items() if "delete" in tool and kind in harmless] == []
