"""Letters about accounts: invitation, first password, new password, and the test of an address."""

from __future__ import annotations

from datetime import datetime

from controlplane.services.letters.letter import Letter, Link, moment, quoted

_IGNORE = "If you did not expect this mail, do nothing: without this link nothing happens."


def staff_invitation(*, link: str, role: str, invited_by: str, expires_at: datetime, timezone: str = "UTC") -> Letter:
    """Somebody is invited to the staff.

    Args:
        link: the address with the one-time token.
        role: the role they will have.
        invited_by: the name of who invites them.
    """
    return Letter(
        subject="Your invitation to LetsBe Hub",
        title="You are invited to LetsBe Hub",
        paragraphs=[
            f"{quoted(invited_by, 80)} invites you to work in LetsBe Hub as {quoted(role, 40).capitalize()}.",
            f"The link works once, until {moment(expires_at, timezone)}.",
        ],
        link=Link("Accept the invitation", link),
        small=[_IGNORE],
    )


def set_password(*, link: str, name: str, expires_at: datetime, timezone: str = "UTC") -> Letter:
    """Somebody has a new account and is to choose their first password."""
    return Letter(
        subject="Choose your password for LetsBe",
        title="Your account is ready",
        paragraphs=[
            f"Hello {quoted(name, 80)},",
            "your LetsBe account has been made. Choose a password to sign in with.",
            f"The link works once, until {moment(expires_at, timezone)}.",
        ],
        link=Link("Choose a password", link),
        small=[_IGNORE],
    )


def reset_password(*, link: str, name: str, expires_at: datetime, timezone: str = "UTC") -> Letter:
    """Somebody has forgotten their password, or somebody else says so."""
    return Letter(
        subject="Choose a new password for LetsBe",
        title="Choose a new password",
        paragraphs=[
            f"Hello {quoted(name, 80)},",
            "a new password was asked for your LetsBe account. Until you choose one, the old one stays as it is.",
            f"The link works once, until {moment(expires_at, timezone)}.",
        ],
        link=Link("Choose a new password", link),
        small=[_IGNORE],
    )


def address_test(*, public_url: str, asked_by: str) -> Letter:
    """Staff try whether mail goes out."""
    return Letter(
        subject="Test mail from LetsBe Hub",
        title="Mail works",
        paragraphs=[f"{quoted(asked_by, 80)} sent this mail from {public_url} to see whether mail goes out. It does."],
        small=["There is nothing to do."],
    )
