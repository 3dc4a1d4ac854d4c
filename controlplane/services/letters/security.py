"""Letters that tell somebody what was changed of how they sign in, so that a stranger's change is seen."""

from __future__ import annotations

from datetime import datetime

from controlplane.services.letters.letter import Letter, Link, moment, quoted


def security_notice(
    *, what: str, name: str, at: datetime, address: str | None, public_url: str, timezone: str = "UTC"
) -> Letter:
    """Something about an account's sign-in has changed.

    Args:
        what: a sentence of ours, as "Your password was changed."
        address: the network address the change came from.
    """
    where = "" if address is None else f", from the address {quoted(address, 60)}"
    return Letter(
        subject=f"{what.rstrip('.')}: LetsBe",
        title=what,
        paragraphs=[
            f"Hello {quoted(name, 80)},",
            f"{what} This was done on {moment(at, timezone)}{where}.",
            "If that was you, there is nothing to do. If it was not, choose a new password at once: on the page below, "
            "follow the link for a forgotten password. It ends every session.",
        ],
        link=Link("Sign in", f"{public_url}/sign-in"),
        small=["This mail is sent whenever the way into your account changes."],
    )
