"""Webhooks that this wrapper takes: the Hub's by their signatures, Diun's by a secret (specification section 8.3).

What the Hub sends by webhook is a promise like any other: it goes through the same journal, under the same numbers, and
is answered with 2xx once it is on the disk. A webhook that comes again is answered with 2xx again and does nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Annotated, Final, TypeVar

import msgspec
import structlog
from msgspec import Meta

from protocol.faults import Conflict, Forbidden, NotFound, Overloaded, Unauthorized, ValidationError
from protocol.session import Verdict
from protocol.signature import TOLERANCE_SECONDS, BadSignature, Signed, verify
from protocol.tenant import ImageUpdate, Moment
from protocol.webhooks import PATH, ApprovalWebhook, CommandWebhook, ConfigWebhook, Webhook
from wrapper.commands import HubTime
from wrapper.inbox import Inbox
from wrapper.journal.database import Journal, JournalFull, Transaction, sayable
from wrapper.journal.webhooks import Delivery
from wrapper.keyring import Secret
from wrapper.local_api import LocalApi, LocalRequest, LocalResponse
from wrapper.webhook_frames import approval_frame, command_frame, config_frame

log = structlog.get_logger()

W = TypeVar("W", bound=Webhook)

#: A whole configuration travels in one.
BODY_LIMIT_BYTES: Final = 1024 * 1024
DIUN_BODY_LIMIT_BYTES: Final = 64 * 1024
_NAME_LIMIT: Final = 200


class _Diun(msgspec.Struct):
    """What Diun says of an image (crazymax.dev/diun, notifier "webhook"); the other fields do not matter here."""

    image: Annotated[str, Meta(min_length=1, max_length=2000)]
    status: Annotated[str, Meta(min_length=1, max_length=200)]
    digest: str | None = None
    created: Moment | None = None


class _Known:
    """The ids that were taken are in the journal, and are looked up in the transaction that takes what they bring."""

    def first_sight(self, message_id: str, *, expires_at: int) -> bool:  # noqa: ARG002 (the port's names)
        return True


class Webhooks:
    """Answers webhooks.

    Args:
        key: the hub API key, under which the Hub signs.
        time: the Hub's clock, by which a signature is fresh.
        pull: called when the Hub says that there is another configuration, and does not say which.
        accept_v1: take the specification's signature alone, for a Hub that knows nothing else.
        diun_token: what Diun sends as Bearer token; None: Diun is not listened to.

    Attributes:
        taken: how many webhooks brought something new.
        refused: how many were not proven to come from the Hub or from Diun.
    """

    def __init__(
        self,
        inbox: Inbox,
        journal: Journal,
        *,
        key: Callable[[], Secret],
        time: HubTime,
        pull: Callable[[], None],
        accept_v1: bool = False,
        diun_token: Secret | None = None,
    ) -> None:
        self._inbox = inbox
        self._journal = journal
        self._key = key
        self._time = time
        self._pull = pull
        self._accept_v1 = accept_v1
        self._diun_token = diun_token
        self.taken = 0
        self.refused = 0

    def add_to(self, api: LocalApi) -> None:
        """Add the routes. They may be called from anywhere: each proves for itself who calls."""
        for event, handler in (
            ("command", self._command),
            ("approval-response", self._approval),
            ("config-update", self._config),
        ):
            api.route("POST", PATH + event, handler, local=False, body_limit_bytes=BODY_LIMIT_BYTES)
        api.route("POST", PATH + "diun", self._diun, local=False, body_limit_bytes=DIUN_BODY_LIMIT_BYTES)

    # --- the Hub's ---------------------------------------------------------------------------------------

    async def _command(self, request: LocalRequest) -> LocalResponse:
        signed, webhook = self._read(request, CommandWebhook)
        if webhook.seq is not None:
            return await self._take(signed, webhook, command_frame(webhook, webhook.seq))
        new = await self._inbox.take_command(webhook, delivery=_delivery(signed), now=self._time.now())
        return self._answer(new=new)

    async def _approval(self, request: LocalRequest) -> LocalResponse:
        signed, webhook = self._read(request, ApprovalWebhook)
        if webhook.seq is not None:
            return await self._take(signed, webhook, approval_frame(webhook, webhook.seq))
        new = await self._inbox.take_decision(webhook, delivery=_delivery(signed), now=self._time.now())
        if new is None:
            raise NotFound(f"no request here waits for approval {webhook.approval_id[:100]}")
        return self._answer(new=new)

    async def _config(self, request: LocalRequest) -> LocalResponse:
        signed, webhook = self._read(request, ConfigWebhook)
        if webhook.seq is not None and bytes(webhook.config) != b"null":
            return await self._take(signed, webhook, config_frame(webhook, webhook.seq))
        if webhook.seq is not None:
            raise ValidationError.of("config", "is required where there is a seq")
        self._pull()
        return self._answer(new=True)

    def _read(self, request: LocalRequest, wanted: type[W]) -> tuple[Signed, W]:
        """The webhook, once it is proven to come from the Hub.

        Raises:
            Unauthorized: it is not.
            ValidationError: it is, and cannot be read.
        """
        try:
            signed = verify(
                request.headers,
                request.body,
                keys=(self._key().reveal(),),
                now=int(self._time.now()),
                replays=_Known(),
                accept_v1=self._accept_v1,
            )
        except BadSignature as error:
            self.refused += 1
            log.warning("webhook.refused", path=request.path, peer=request.peer, reason=str(error))
            raise Unauthorized(f"not proven to come from the Hub: {error}") from error
        expected = request.path.removeprefix(PATH)
        # V2 does not sign the event, so the path is what counts; a mismatch is somebody's mistake, or worse.
        if signed.event not in ("", expected):
            raise ValidationError.of("X-LetsBe-Event", f"must be {expected} here")
        try:
            return signed, msgspec.json.decode(request.body, type=wanted)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValidationError.of("body", str(error)) from error

    async def _take(self, signed: Signed, webhook: Webhook, frame: bytes) -> LocalResponse:
        now = self._time.now()
        verdict, journalled = await self._inbox.take_webhook(webhook, frame, delivery=_delivery(signed), now=now)
        if verdict is Verdict.GAP:
            raise Conflict(
                f"promise {webhook.seq} came, but not those before it: the last one here is {journalled}",
                details={"lastSeq": journalled},
            )
        return self._answer(new=verdict is Verdict.NEW, last_seq=journalled)

    def _answer(self, *, new: bool, last_seq: int | None = None) -> LocalResponse:
        self.taken += new
        return LocalResponse({"success": True, "data": {"taken": new, "lastSeq": last_seq}})

    # --- Diun's ------------------------------------------------------------------------------------------

    async def _diun(self, request: LocalRequest) -> LocalResponse:
        if self._diun_token is None:
            raise Forbidden("Diun is not listened to here: start the wrapper with --diun-token-file")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given, expected = token.strip().encode(), self._diun_token.reveal().encode()
        if scheme.lower() != "bearer" or not hmac.compare_digest(given, expected):
            self.refused += 1
            log.warning("webhook.refused", path=request.path, peer=request.peer, reason="not Diun's token")
            raise Unauthorized("the header must be Authorization: Bearer, with the token that Diun was given")
        try:
            diun = msgspec.json.decode(request.body, type=_Diun)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValidationError.of("body", str(error)) from error
        try:
            await self._journal.run(_note_image, diun)
        except JournalFull as error:
            raise Overloaded(str(error), retry_after_seconds=60) from error
        self.taken += 1
        return LocalResponse({"success": True, "data": {"taken": True, "lastSeq": None}})


def _delivery(signed: Signed) -> Delivery | None:
    if signed.message_id is None:
        return None
    return Delivery(signed.message_id, signed.timestamp + TOLERANCE_SECONDS + 1)


def _note_image(transaction: Transaction, diun: _Diun) -> None:
    message = ImageUpdate(
        id=transaction.new_id(),
        image=sayable(diun.image, _NAME_LIMIT),
        status=sayable(diun.status, _NAME_LIMIT),
        digest=None if diun.digest is None else sayable(diun.digest, _NAME_LIMIT),
        created=_storable(diun),
    )
    transaction.enqueue(message, reference=message.image)


def _storable(diun: _Diun) -> Moment | None:
    """The image's age, where it is one: Diun says year 1 of an image that does not tell."""
    return diun.created if diun.created is not None and 1970 <= diun.created.year < 3000 else None
