"""The default tool table: how much harm each tool can do. A tool that is not listed counts as red."""

from __future__ import annotations

from typing import Final

from protocol.words import CommandClass

#: The applications a tenant can have; a tool of one begins with its name and an underscore.
APPLICATIONS: Final = frozenset({"nextcloud", "chatwoot", "ghost", "calcom", "odoo", "stalwart", "listmonk", "umami"})

# Reads, or changes nothing but the agent's own notes.
_GREEN: Final = (
    *("agent_delegate", "agent_list", "agent_status", "memory_read", "memory_write", "task_list"),
    *("file_list", "file_read", "file_search", "web_search"),
    *("docker_list", "docker_logs", "docker_stats", "service_status", "disk_usage", "backup_list"),
    *("certificate_status", "dns_lookup", "log_search"),
    *("calendar_read", "contact_read", "email_read", "email_search", "email_draft"),
    *("nextcloud_file_list", "nextcloud_file_read", "nextcloud_user_list"),
    *("chatwoot_conversation_list", "chatwoot_conversation_read", "chatwoot_note_add"),
    *("ghost_post_list", "ghost_post_read", "ghost_post_draft"),
    *("calcom_booking_list", "calcom_availability_read"),
    *("odoo_record_search", "odoo_record_read", "odoo_report_read"),
    *("stalwart_account_list", "stalwart_queue_read"),
    *("listmonk_list_read", "listmonk_subscriber_read", "listmonk_campaign_read", "listmonk_campaign_draft"),
    *("umami_stats_read", "umami_event_read"),
)

# Changes something inside the house that can be changed back. Besides: settings may hold secrets, and the address of a
# page that is fetched can carry something out.
_YELLOW: Final = (
    *("env_read", "web_fetch"),
    *("file_write", "file_move", "task_create", "task_update"),
    *("env_update", "service_restart", "backup_create", "cron_update"),
    *("calendar_write", "contact_write", "email_label", "email_archive"),
    *("nextcloud_file_write", "nextcloud_folder_create"),
    *("chatwoot_conversation_assign", "chatwoot_conversation_label", "chatwoot_conversation_resolve"),
    *("ghost_post_update", "ghost_tag_update"),
    *("calcom_event_type_update", "calcom_availability_update"),
    *("odoo_record_create", "odoo_record_update", "odoo_quote_draft"),
    *("listmonk_subscriber_update", "listmonk_campaign_update"),
    *("umami_website_update",),
)

# Reaches people outside: cannot be called back once it is out.
_YELLOW_EXTERNAL: Final = (
    *("email_send", "sms_send", "web_form_submit", "social_post_publish", "calendar_invite"),
    *("nextcloud_share_create",),
    *("chatwoot_reply_send",),
    *("ghost_post_publish", "ghost_newsletter_send"),
    *("calcom_booking_create", "calcom_booking_reschedule", "calcom_booking_cancel"),
    *("odoo_quote_send", "odoo_invoice_send"),
    *("listmonk_campaign_send", "listmonk_transactional_send"),
)

# Can lose data, open a door, or run anything.
_RED: Final = (
    *("shell", "docker", "browser", "file_delete", "file_permissions", "package_install"),
    *("container_remove", "image_update", "backup_restore", "database_query", "user_create", "user_disable"),
    *("email_delete", "calendar_delete", "contact_delete"),
    *("nextcloud_file_delete", "nextcloud_user_update"),
    *("chatwoot_conversation_delete", "ghost_post_delete", "ghost_member_delete", "calcom_event_type_delete"),
    *("odoo_record_delete", "odoo_invoice_post", "odoo_payment_register"),
    *("stalwart_account_create", "stalwart_account_update", "stalwart_domain_update"),
    *("listmonk_subscriber_delete", "listmonk_list_delete", "umami_website_delete"),
)

# Cannot be undone, or takes away the means to undo it.
_CRITICAL_RED: Final = (
    *("database_drop", "volume_remove", "backup_delete", "firewall_update", "ssh_key_update", "disk_format"),
    *("server_reboot", "stack_remove", "nextcloud_user_delete", "stalwart_account_delete", "odoo_database_restore"),
)

#: Tool → command class.
TOOL_TABLE: Final[dict[str, CommandClass]] = {
    **dict.fromkeys(_GREEN, CommandClass.GREEN),
    **dict.fromkeys(_YELLOW, CommandClass.YELLOW),
    **dict.fromkeys(_YELLOW_EXTERNAL, CommandClass.YELLOW_EXTERNAL),
    **dict.fromkeys(_RED, CommandClass.RED),
    **dict.fromkeys(_CRITICAL_RED, CommandClass.CRITICAL_RED),
}


def class_of(tool: str) -> CommandClass:
    """The class a tool's commands have; an unknown tool is red."""
    return TOOL_TABLE.get(tool, CommandClass.RED)


def application_of(tool: str) -> str | None:
    """The application a tool works on, or None for a general tool."""
    head = tool.partition("_")[0]
    return head if head in APPLICATIONS else None
