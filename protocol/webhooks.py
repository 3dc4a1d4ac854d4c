"""What the Hub's webhooks to a Safety Wrapper carry (specification section 8.2), and the promises they stand for.

Each body has the specification's fields, and besides them what makes a promise of it: its number, where it stands among
the others, and what else its frame says. One from a Hub that knows the specification only has no number.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from protocol.session import Verdict
from protocol.tenant import NOTHING, Moment, Name, Seq
from protocol.words import SettledAction

#: Seconds after a failed try until the next: the attempts of one delivery (Standard Webhooks, "Retries").
RETRY_SECONDS: Final = (0, 5, 300, 1800, 7200, 18_000, 36_000, 36_000)
#: Where each event arrives, below `safetyWrapperUrl`.
PATH: Final = "/webhooks/"

ConfigVersion = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Webhook(msgspec.Struct, rename="camel", kw_only=True):
    """Base of what travels.

    Args:
        seq: the promise's number; None from a Hub that has no numbers.
        after: the last number before it that was not withdrawn: those between are void.
        resumed_from: as in `welcome`: up to here everything is acknowledged, whatever a journal says that was lost.
    """

    seq: Seq | None = None
    after: Seq = 0
    resumed_from: Seq = 0


class CommandWebhook(Webhook, kw_only=True):
    """`command`: run this."""

    command_id: Name
    type: Name
    payload: msgspec.Raw = msgspec.field(default_factory=lambda: NOTHING)
    issued_at: Moment | None = None
    expires_at: Moment | None = None


class ApprovalWebhook(Webhook, kw_only=True):
    """`approval-response`: an approval was decided, or has expired."""

    approval_id: Name
    action: SettledAction
    responded_by: str | None = None
    reason: str | None = None
    request_id: str | None = None
    args_hash: str | None = None
    settled_at: Moment | None = None


class ConfigWebhook(Webhook, kw_only=True):
    """`config-update`: there is another configuration; without `config`, it is to be pulled."""

    config_version: ConfigVersion
    changed_fields: list[str] = []
    config_hash: str | None = None
    config: msgspec.Raw = msgspec.field(default_factory=lambda: NOTHING)


#: By the promise's frame type: the event that carries it.
EVENTS: Final = {"command": "command", "approvalSettled": "approval-response", "configOffered": "config-update"}


class _CommandFrame(msgspec.Struct, rename="camel"):
    id: str
    command_type: str
    payload: msgspec.Raw
    issued_at: Moment
    expires_at: Moment


class _ApprovalFrame(msgspec.Struct, rename="camel"):
    approval_id: str
    request_id: str
    action: SettledAction
    responded_by: str | None
    reason: str | None
    args_hash: str
    settled_at: Moment


class _ConfigFrame(msgspec.Struct, rename="camel"):
    config_version: int
    config_hash: str
    config: msgspec.Raw


def webhook_of(
    kind: str, frame: bytes, *, seq: int, after: int, resumed_from: int, changed_fields: list[str]
) -> Webhook:
    """The body that carries a promise; what it holds of JSON stays byte for byte as it is in the frame.

    Args:
        kind: the frame's type: one of `EVENTS`.
        changed_fields: of a configuration: the top-level fields that differ from the one before.
    """
    place: dict[str, Any] = {"seq": seq, "after": after, "resumed_from": resumed_from}
    if kind == "command":
        command = msgspec.json.decode(frame, type=_CommandFrame)
        return CommandWebhook(
            command_id=command.id,
            type=command.command_type,
            payload=command.payload,
            issued_at=command.issued_at,
            expires_at=command.expires_at,
            **place,
        )
    if kind == "approvalSettled":
        settled = msgspec.json.decode(frame, type=_ApprovalFrame)
        return ApprovalWebhook(**msgspec.structs.asdict(settled), **place)
    if kind == "configOffered":
        offered = msgspec.json.decode(frame, type=_ConfigFrame)
        return ConfigWebhook(
            config_version=offered.config_version,
            changed_fields=changed_fields,
            config_hash=offered.config_hash,
            config=offered.config,
            **place,
        )
    raise ValueError(f"no webhook carries a {kind}")


def judge(webhook: Webhook, journalled: int) -> Verdict:
    """What a numbered webhook is to a wrapper whose journal has everything up to `journalled`.

    NEW also where the journal stands behind what the Hub knows to be acknowledged: it was lost, or restored from a
    backup, and goes on from here, as after a `welcome`.
    """
    if webhook.seq is None:
        raise ValueError("a webhook without a number has no place")
    if webhook.seq <= journalled:
        return Verdict.DUPLICATE
    return Verdict.NEW if max(journalled, webhook.resumed_from) >= webhook.after else Verdict.GAP
