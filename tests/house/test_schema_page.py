"""The page of the schema is true: all models of the specification have a table, and the diagrams are up to date."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

from controlplane.cli.schema import command
from controlplane.store.tables import metadata

PAGE = Path(__file__).parents[2] / "docs" / "schema.md"
GENERATED = "## The tables\n\n"

#: By hand, from section 10 of the specification: existing, new, and enterprise models, with the tables it names.
MODELS = {
    "User": "users",
    "Staff": "staff",
    "StaffInvitation": "staff_invitations",
    "Subscription": "subscriptions",
    "Order": "orders",
    "DnsVerification": "dns_verifications",
    "DnsRecord": "dns_records",
    "ProvisioningJob": "provisioning_jobs",
    "JobLog": "job_logs",
    "ProvisioningLog": "provisioning_logs",
    "TokenUsage": "token_usage",
    "RunnerToken": "runner_tokens",
    "ServerConnection": "server_connections",
    "RemoteCommand": "remote_commands",
    "SystemSetting": "system_settings",
    "TokenUsageBucket": "token_usage_buckets",
    "BillingPeriod": "billing_periods",
    "FoundingMember": "founding_members",
    "AgentConfig": "agent_configs",
    "CommandApproval": "command_approvals",
    "EnterpriseClient": "enterprise_clients",
    "EnterpriseServer": "enterprise_servers",
    "ServerStatsSnapshot": "server_stats_snapshots",
    "ErrorDetectionRule": "error_detection_rules",
    "DetectedError": "detected_errors",
    "SecurityVerificationCode": "security_verification_codes",
    "LogScanPosition": "log_scan_positions",
    "ContainerStateSnapshot": "container_state_snapshots",
    "ContainerEvent": "container_events",
    "NotificationSetting": "notification_settings",
    "NotificationCooldown": "notification_cooldowns",
    "Pending2FASession": "pending_2fa_sessions",
}


def test_every_model_of_the_specification_has_its_table() -> None:
    assert len(MODELS) == 32
    assert sorted(set(MODELS.values()) - set(metadata.tables)) == []


def test_the_page_says_which_table_a_model_is() -> None:
    rows = re.findall(r"^\| (\w+) \| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert dict(rows) == MODELS


def test_the_diagrams_are_those_of_the_command() -> None:
    shown = PAGE.read_text(encoding="utf-8").partition(GENERATED)[2]
    told = CliRunner().invoke(command, ["--markdown"])
    assert told.exit_code == 0, told.output
    assert shown == told.output, "put the output of `hub schema --markdown` at the end of docs/schema.md"


def test_every_table_is_drawn_once() -> None:
    drawn = re.findall(r"^    (\w+) \{$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted(drawn) == sorted(metadata.tables)
