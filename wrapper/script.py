"""What the scripted agents want, role by role, in the Hub's tool names: every class of command is among it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing that an agent may want."""

    tool_name: str
    tool_args: dict[str, Any]
    human_readable: str
    impact: str | None = None


#: Agent → what it asks for, in turn.
SCRIPT: Final[dict[str, tuple[Wish, ...]]] = {
    "dispatcher": (
        Wish(
            "agent_delegate",
            {"to": "secretary", "task": "Find a time for the yearly review with the tax adviser"},
            "Dispatcher wants to give the secretary a task: find a time for the yearly review",
        ),
        Wish(
            "task_create",
            {"title": "Renew the contract of the print shop", "due": "in 14 days"},
            "Dispatcher wants to note the task Renew the contract of the print shop",
        ),
    ),
    "it-admin": (
        Wish(
            "file_delete",
            {"path": "/opt/letsbe/stacks/nextcloud/data/tmp/*", "recursive": True},
            "IT Admin wants to delete /nextcloud/data/tmp/* (47 files, 2.3 GB)",
            "47 files, 2.3 GB",
        ),
        Wish("docker_list", {"all": True}, "IT Admin wants to look at the containers"),
        Wish(
            "database_drop",
            {"database": "nextcloud_old"},
            "IT Admin wants to drop the database nextcloud_old (last used 94 days ago)",
            "1 database, 812 MB",
        ),
        Wish("service_restart", {"service": "ghost"}, "IT Admin wants to restart Ghost"),
        Wish(
            "shell",
            {"command": "apt-get -y upgrade", "cwd": "/"},
            "IT Admin wants to install 12 pending system updates",
            "12 packages",
        ),
    ),
    "marketing": (
        Wish(
            "listmonk_campaign_send",
            {"list": "customers", "campaign": "spring-offer", "recipients": 1204},
            "Marketing wants to send the newsletter Spring Offer (1,204 recipients)",
            "1,204 recipients",
        ),
        Wish("umami_stats_read", {"site": "blog", "days": 30}, "Marketing wants to read last month's visitor figures"),
        Wish(
            "ghost_post_publish",
            {"slug": "five-years-of-us"},
            "Marketing wants to publish the post Five Years of Us",
            "public",
        ),
        Wish(
            "ghost_post_update",
            {"slug": "spring-offer", "title": "Our spring offer"},
            "Marketing wants to change the title of the post Spring Offer",
        ),
    ),
    "secretary": (
        Wish(
            "email_send",
            {"to": "billing@supplier.example", "subject": "Invoice 2291"},
            "Secretary wants to answer billing@supplier.example about Invoice 2291",
            "1 recipient",
        ),
        Wish("email_search", {"words": "invoice", "unanswered": True}, "Secretary wants to look for unanswered mail"),
        Wish(
            "calcom_booking_cancel",
            {"booking": "board-meeting", "attendees": 6},
            "Secretary wants to cancel the board meeting on Friday (6 attendees)",
            "6 attendees",
        ),
        Wish(
            "calendar_write",
            {"title": "Dentist", "on": "Tuesday", "at": "08:30"},
            "Secretary wants to note the dentist on Tuesday at 8:30",
        ),
    ),
    "sales": (
        Wish(
            "odoo_quote_send",
            {"quote": "S00417", "to": "purchasing@customer.example", "amount": "4,380.00 EUR"},
            "Sales wants to send quote S00417 over 4,380 EUR to purchasing@customer.example",
            "4,380 EUR, valid 30 days",
        ),
        Wish("odoo_record_search", {"model": "crm.lead", "stage": "new"}, "Sales wants to look at the new leads"),
        Wish(
            "odoo_record_update",
            {"model": "crm.lead", "id": 88, "stage": "qualified"},
            "Sales wants to move the lead Miller & Sons to qualified",
        ),
    ),
}
