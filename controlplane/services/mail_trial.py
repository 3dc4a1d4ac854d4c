"""A mail that is sent to see whether mail goes out, and how that went in words."""

from __future__ import annotations

import msgspec

from controlplane.integrations.mail_carrier import CarrierDown, MailDeferred, MailRefused
from controlplane.services.letters.accounts import address_test
from controlplane.services.mail import MailService


class Tried(msgspec.Struct, frozen=True, rename="camel"):
    """How a test mail went.

    Args:
        sent: a server has taken it.
        to: who it was for.
        route: how mail goes out, without a password; null where it does not.
        message: what happened, in words.
    """

    sent: bool
    to: str
    route: str | None
    message: str


async def try_out(mail: MailService, to: str, *, asked_by: str, public_url: str) -> Tried:
    """Send a mail by the way all mail goes, at once and past the outbox."""
    way = await mail.way()
    route = None if way is None else str(way.carrier)
    try:
        await mail.send_now(to, address_test(public_url=public_url, asked_by=asked_by))
    except MailRefused as refusal:
        return Tried(False, to, route, f"the mail was refused for good: {refusal}")
    except MailDeferred as refusal:
        return Tried(False, to, route, f"the mail is not taken now: {refusal}")
    except CarrierDown as failure:
        return Tried(False, to, route, f"no mail goes out: {failure}")
    return Tried(True, to, route, "the mail was taken; look for it in its mailbox")
