"""How mail leaves the Hub: what its settings may say, and what they refuse without repeating a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from controlplane.mail_route import FolderRoute, Security, SmtpRoute, mail_route
from controlplane.settings import Settings, SettingsError, table

FROM = {"HUB_MAIL_FROM": "hub@example.com"}


def route(text: str) -> object:
    return Settings.read({"HUB_SMTP_URL": text, **FROM}).smtp_url


@pytest.mark.parametrize(
    ("text", "host", "port", "security"),
    [
        ("smtp://mail.example.com", "mail.example.com", 587, Security.STARTTLS),
        ("smtp://mail.example.com:2525", "mail.example.com", 2525, Security.STARTTLS),
        ("smtps://mail.example.com", "mail.example.com", 465, Security.TLS),
        ("smtp+plain://127.0.0.1", "127.0.0.1", 25, Security.PLAIN),
        ("smtp+plain://[::1]:1025", "::1", 1025, Security.PLAIN),
        ("smtp+plain://localhost:1025/", "localhost", 1025, Security.PLAIN),
    ],
)
def test_routes(text: str, host: str, port: int, security: Security) -> None:
    assert mail_route(text) == SmtpRoute(host, port, security)


def test_a_password_may_hold_anything_and_is_never_shown() -> None:
    url = "smtp://hub%40example.com:p%40s%2Fs%3Acanary@mail.example.com"
    found = route(url)
    assert isinstance(found, SmtpRoute)
    assert found.user == "hub@example.com"
    assert found.password is not None
    assert found.password.reveal() == "p@s/s:canary"
    [line] = [line for line in table({"HUB_SMTP_URL": url, **FROM}) if line.name == "HUB_SMTP_URL"]
    assert line.value == "smtp://hub@example.com:•••@mail.example.com:587"
    assert "canary" not in repr(found)


def test_a_folder() -> None:
    assert mail_route("file:///var/tmp/a%20folder") == FolderRoute(Path("/var/tmp/a folder"))


@pytest.mark.parametrize(
    "text",
    [
        "mail.example.com:587",
        "http://mail.example.com",
        "smtp://",
        "smtp://hub@mail.example.com",
        "smtp://:canary@mail.example.com",
        "smtp://hub:canary@mail.example.com/path",
        "smtp://hub:canary@mail.example.com?x=1",
        "smtp://hub:canary@mail.example.com:port",
        "smtp://hub:can%0d%0aary@mail.example.com",
        "smtp+plain://mail.example.com",
        "smtp+plain://10.0.0.1",
        "file://mails",
        "file:mails",
    ],
)
def test_what_is_no_route_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        route(text)
    [problem] = refusal.value.problems
    assert problem.startswith("HUB_SMTP_URL ")
    assert "canary" not in problem


@pytest.mark.parametrize(
    "text", ["hub", "hub@", "a@b\nBcc: c@d", "Hub <hub>", "<a@b> c", "a b@c.d", "x" * 101 + " <a@b.c>"]
)
def test_what_is_no_sender_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="HUB_MAIL_FROM"):
        Settings.read({"HUB_MAIL_FROM": text})


def test_senders() -> None:
    named = Settings.read({"HUB_MAIL_FROM": "LetsBe, Hüb <hub@example.com>"}).mail_from
    assert named is not None
    assert (named.display_name, named.addr_spec) == ("LetsBe, Hüb", "hub@example.com")


def test_a_server_needs_a_sender_and_a_folder_does_not() -> None:
    with pytest.raises(SettingsError, match="HUB_MAIL_FROM is not set"):
        Settings.read({"HUB_SMTP_URL": "smtp://mail.example.com"})
    assert Settings.read({"HUB_SMTP_URL": "file:///var/tmp/mail"}).mail_from is None
