"""Every kind of event there is: what it tells of, and what it carries. Who hears it: `services/console_topics.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Kind(NamedTuple):
    """One kind of event.

    Args:
        data: the type of its data, by name: an object of the HTTP API, or a `…Told` of `protocol.console`.
        tells: what has happened, as a sentence.
    """

    data: str
    tells: str


def _of(room: str, data: str, **tells: str) -> dict[str, Kind]:
    return {f"{room}.{what}": Kind(data, sentence) for what, sentence in tells.items()}


#: By kind: the room it is told in, and what happened there. A kind never changes its meaning.
KINDS: Final[Mapping[str, Kind]] = {
    **_of(
        "approval",
        "CommandApproval",
        requested="An agent asks for permission.",
        approved="A person allowed it.",
        denied="A person refused it.",
        expired="Nobody decided in time, which means no.",
        outcome="The wrapper tells what became of a command that was allowed.",
    ),
    **_of("approval", "DecisionDelivered", delivered="The wrapper has acknowledged a decision."),
    **_of(
        "command",
        "RemoteCommand",
        queued="Staff sent a command.",
        sent="It went over the wrapper's connection.",
        acknowledged="The wrapper has it on its disk.",
        succeeded="It was carried out.",
        failed="It was tried and failed.",
        rejected="The wrapper does not take it.",
        timedOut="It took too long.",
        expired="Nobody took it in time.",
        cancelled="It was withdrawn before the wrapper had it.",
    ),
    **_of(
        "agent",
        "AgentConfig",
        deployed="An agent was deployed.",
        updated="Its name, character, tools or level of autonomy changed.",
        externalCommsChanged="Its gates to the outside changed.",
        removed="It was taken off.",
    ),
    **_of(
        "config",
        "ConfigTold",
        offered="A new configuration waits for the wrapper.",
        applied="The wrapper works by it.",
        failed="The wrapper could not apply it.",
    ),
    **_of(
        "server",
        "ServerTold",
        registered="A wrapper has registered, and has a key.",
        connected="Its connection stands.",
        disconnected="Its connection ended.",
        keyRevoked="Its key was revoked.",
        keyUsedTwice="Two wrappers use one key at once.",
    ),
    **_of(
        "server",
        "WebhooksTold",
        webhooksDisabled="Its address takes no webhooks any more.",
        webhooksExhausted="No try of a webhook was taken.",
        webhooksEnabled="Staff lets its webhooks be tried again.",
    ),
    **_of(
        "order",
        "Order",
        created="An order was made.",
        changed="Its details changed.",
        automationChanged="It goes on by itself, step by step, or not at all now.",
        registrationTokenIssued="A registration token was made; the one before is void.",
        paymentConfirmed="It is paid.",
        awaitingServer="It waits for a server.",
        serverReady="Its server is there.",
        dnsPending="Its names are awaited in the DNS.",
        dnsReady="Its names stand in the DNS.",
        provisioning="Its server is being set up.",
        fulfilled="Its server has registered.",
        failed="A step failed, and can be taken again.",
        cancelled="It was cancelled.",
    ),
    **_of(
        "customer",
        "Customer",
        created="A customer was made.",
        changed="Their details, standing, subscription or founding membership changed.",
    ),
    **_of("usage", "UsageTold", reported="The wrapper reported usage."),
    **_of("backup", "BackupTold", reported="The wrapper reported a backup."),
    **_of("activity", "ActivityTold", recorded="An agent did something worth telling."),
    **_of("image", "ImageTold", reported="A newer image of a container is to be had."),
    **_of(
        "staff",
        "StaffMember",
        created="Somebody joined the staff.",
        changed="Their name, address, role, standing or photo changed.",
        deactivated="They may sign in no more.",
    ),
    **_of(
        "staff",
        "Invitation",
        invited="Somebody was invited to the staff.",
        invitationResent="An invitation was sent again.",
        invitationRevoked="An invitation was taken back.",
        invitationAccepted="An invitation was accepted.",
    ),
    **{
        f"{room}.{what}": Kind("AccountTold", sentence)
        for room in ("staff", "account")
        for what, sentence in {
            "signedIn": "A session began.",
            "signedOut": "A session ended, or all but the one that ended them.",
            "passwordChanged": "The password changed.",
            "twoFactorEnabled": "Two-factor authentication was turned on.",
            "twoFactorDisabled": "Two-factor authentication was turned off.",
            "backupCodesMade": "New backup codes were made; those before are void.",
            "backupCodeUsed": "A backup code was used up.",
        }.items()
    },
    **_of("account", "AccountTold", preferencesChanged="Language, time zone or mails about approvals changed."),
    **_of("settings", "SettingsTold", changed="Settings of the Hub changed."),
    **_of("key", "ApiKey", created="A key for an outside caller was made.", revoked="Such a key was revoked."),
}
