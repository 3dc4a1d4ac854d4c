"""Bodies of webhooks as the frames that a socket would have brought, so that all that follows is the same."""

from __future__ import annotations

import msgspec

from protocol.faults import FieldProblem, ValidationError
from protocol.tenant import ApprovalSettled, Command, encode
from protocol.webhooks import ApprovalWebhook, CommandWebhook, ConfigWebhook


def command_frame(webhook: CommandWebhook, seq: int) -> bytes:
    """The `command` frame.

    Raises:
        ValidationError: what the specification does not demand is missing.
    """
    issued_at, expires_at = webhook.issued_at, webhook.expires_at
    if issued_at is None or expires_at is None:
        raise _missing(issuedAt=issued_at, expiresAt=expires_at)
    return encode(Command(seq, webhook.command_id, webhook.type, webhook.payload, issued_at, expires_at))


def approval_frame(webhook: ApprovalWebhook, seq: int) -> bytes:
    """The `approvalSettled` frame.

    Raises:
        ValidationError: what the specification does not demand is missing.
    """
    request_id, args_hash, settled_at = webhook.request_id, webhook.args_hash, webhook.settled_at
    if request_id is None or args_hash is None or settled_at is None:
        raise _missing(requestId=request_id, argsHash=args_hash, settledAt=settled_at)
    return encode(
        ApprovalSettled(
            seq=seq,
            approval_id=webhook.approval_id,
            request_id=request_id,
            action=webhook.action,
            responded_by=webhook.responded_by,
            reason=webhook.reason,
            args_hash=args_hash,
            settled_at=settled_at,
        )
    )


class _ConfigFrame(msgspec.Struct, rename="camel", tag="configOffered"):
    seq: int
    config_version: int
    config_hash: str
    config: msgspec.Raw


def config_frame(webhook: ConfigWebhook, seq: int) -> bytes:
    """The `configOffered` frame; the configuration stays byte for byte as it came.

    Raises:
        ValidationError: what the specification does not demand is missing.
    """
    if webhook.config_hash is None:
        raise _missing(configHash=None)
    return msgspec.json.encode(_ConfigFrame(seq, webhook.config_version, webhook.config_hash, webhook.config))


def _missing(**fields: object) -> ValidationError:
    problems = [
        FieldProblem(name, "is required where there is a seq") for name, value in fields.items() if value is None
    ]
    return ValidationError(details=problems)
