"""What carries mail out of the Hub: the port, what may go wrong in it, and the message as it travels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Final, Protocol

_LONGEST_REPLY: Final = 200
_ADDRESS: Final = re.compile(r'[^\s@<>()\[\],;:"\\\x00-\x1f\x7f]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?')
_ADDRESS_OF_PAGE: Final = re.compile(r"\S+://\S+")
# C0, C1, line and paragraph separators, and what turns the direction of text (Unicode UAX #9).
_UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")


class MailRefused(Exception):
    """This mail will never be taken: its recipient or content is refused for good."""


class MailDeferred(Exception):
    """This mail is not taken now; later it may be."""


class CarrierDown(Exception):
    """No mail goes out at present: the server is away, refuses us, or is not what the settings say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One mail to one recipient.

    Args:
        message_id: without the angle brackets; the same whenever this mail is sent again (RFC 5322 section 3.6.4).
        sender: who it comes from.
        recipient: the bare address.
        date: when it was written.
    """

    message_id: str
    sender: Address
    recipient: str
    subject: str
    text: str
    html: str
    date: datetime

    def email(self) -> EmailMessage:
        """The message of RFC 5322 with both forms of its body.

        Raises:
            MailRefused: the recipient is no address that a header can carry.
        """
        if not _ADDRESS.fullmatch(self.recipient):
            raise MailRefused("its recipient is no mail address")
        user, _, domain = self.recipient.partition("@")
        message = EmailMessage(policy=policy.SMTP)
        message["From"] = self.sender
        message["To"] = Address("", user, domain)
        message["Subject"] = one_line(self.subject)
        message["Date"] = self.date
        message["Message-ID"] = f"<{self.message_id}>"
        # Out of office replies and the like are not wanted (RFC 3834 section 5).
        message["Auto-Submitted"] = "auto-generated"
        # Quoted-printable keeps every line short, whatever a body holds (RFC 5321 section 4.5.3.1.6).
        message.set_content(self.text, charset="utf-8", cte="quoted-printable")
        message.add_alternative(self.html, subtype="html", charset="utf-8", cte="quoted-printable")
        return message


class Carrier(Protocol):
    """Takes mail to where it belongs."""

    async def send(self, message: Message) -> None:
        """Hand a mail on; when this returns somebody else is responsible for it.

        Raises:
            MailRefused, MailDeferred, CarrierDown: with a sentence in which no address of a page is left.
        """
        ...

    async def check(self) -> str:
        """Try the way without a mail; says in words how it went.

        Raises:
            CarrierDown: no mail would go out.
        """
        ...


def one_line(text: str) -> str:
    """Text without line breaks, control characters and what turns its direction."""
    return _UNSEEN.sub(" ", text).strip()


def reply_of(code: int, said: bytes | str) -> str:
    """A server's reply in one short line; it may quote a mail, so addresses of pages are left out."""
    words = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return f"{code} {_ADDRESS_OF_PAGE.sub('(address left out)', one_line(words))[:_LONGEST_REPLY]}".strip()
