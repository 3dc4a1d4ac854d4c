"""The SMTP carrier against a real server: what it says, what it makes of refusals, and when it gives up."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from email.headerregistry import Address
from pathlib import Path
from typing import Any

import pytest
import trio

from controlplane.integrations.mail_carrier import CarrierDown, MailDeferred, MailRefused, Message
from controlplane.integrations.mail_folder import FolderCarrier
from controlplane.integrations.smtp import SmtpCarrier
from controlplane.mail_route import Security, SmtpRoute
from controlplane.secret import Secret
from tests.end_to_end.hub_process import until
from tests.fakes.smtp_server import HANG_UP, SILENCE, SmtpServer, certificates


def mail(**values: Any) -> Message:
    given = {
        "message_id": "one@hub.test",
        "sender": Address("LetsBe Hüb", "hub", "hub.test"),
        "recipient": "maria@acme.com",
        "subject": "A request waits",
        "text": "Grüße\n.\n.dots\n" + "x" * 5000,
        "html": "<p>Grüße</p>",
        "date": datetime(2026, 3, 15, 10, tzinfo=UTC),
    }
    return Message(**given | values)


def carrier(
    server: SmtpServer,
    security: Security = Security.PLAIN,
    *,
    user: str | None = None,
    password: str = "",
    context: ssl.SSLContext | None = None,
    **limits: float,
) -> SmtpCarrier:
    route = SmtpRoute("127.0.0.1", server.port, security, user, Secret(password) if user else None)
    return SmtpCarrier(route, hello_name="hub.test", context=context, **limits)


async def test_both_forms_arrive_whole_in_short_lines() -> None:
    server = SmtpServer()
    async with server.listening():
        await carrier(server).send(mail())
    [got] = server.mails
    assert (got.sender, got.recipient, got.encrypted) == ("hub@hub.test", "maria@acme.com", False)
    assert got.body("plain").replace("\r\n", "\n").startswith("Grüße\n.\n.dots\nxxx")
    assert got.body("plain").count("x") == 5000
    assert "Grüße" in got.body("html")
    assert got.message["From"] == "LetsBe Hüb <hub@hub.test>"
    assert got.message_id == "<one@hub.test>"
    assert got.message["Auto-Submitted"] == "auto-generated"
    assert max(map(len, got.content.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
async def test_mail_and_password_travel_encrypted(tmp_path: Path, security: Security) -> None:
    theirs, ours = certificates(tmp_path)
    server = SmtpServer(context=theirs, implicit_tls=security is Security.TLS, accounts={"hub": "p@ss word"})
    async with server.listening():
        sending = carrier(server, security, user="hub", password="p@ss word", context=ours)
        assert "signs hub in" in await sending.check()
        await sending.send(mail())
    [got] = server.mails
    assert (got.encrypted, got.signed_in_as) == (True, "hub")


async def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    theirs, _ = certificates(tmp_path)
    server = SmtpServer(context=theirs)
    async with server.listening():
        with pytest.raises(CarrierDown, match="no secure connection"):
            await carrier(server, Security.STARTTLS).send(mail())
    assert "MAIL" not in server.commands


async def test_a_server_without_starttls_gets_neither_password_nor_mail() -> None:
    server = SmtpServer(accounts={"hub": "secret"})
    async with server.listening():
        with pytest.raises(CarrierDown, match="offers no STARTTLS"):
            await carrier(server, Security.STARTTLS, user="hub", password="secret").send(mail())
    assert not {"AUTH", "MAIL"} & set(server.commands)


async def test_a_wrong_password_is_the_settings_fault_not_the_mails() -> None:
    server = SmtpServer(accounts={"hub": "right"})
    async with server.listening():
        with pytest.raises(CarrierDown, match=r"our sign-in is refused: 535 5\.7\.8") as failure:
            await carrier(server, user="hub", password="wr0ng").send(mail())
        with pytest.raises(CarrierDown, match="530"):
            await carrier(server).send(mail())
    assert "wr0ng" not in str(failure.value)


@pytest.mark.parametrize(
    ("command", "reply", "verdict"),
    [
        ("RCPT", "550 5.1.1 no such user", MailRefused),
        ("RCPT", "450 4.2.1 greylisted", MailDeferred),
        ("RCPT", "421 going down", CarrierDown),
        ("DATA", "554 no", MailRefused),
        ("DATA", "451 later", MailDeferred),
        ("END", "552 too large", MailRefused),
        ("END", "452 no room", MailDeferred),
        ("END", "250 ok", None),
        ("END", HANG_UP, CarrierDown),
        ("MAIL", "550 not from you", CarrierDown),
        ("MAIL", "552 5.3.4 too large", MailRefused),
        ("MAIL", "451 busy", CarrierDown),
        ("CONNECT", "554 go away", CarrierDown),
        ("CONNECT", "babble", CarrierDown),
        ("CONNECT", HANG_UP, CarrierDown),
        ("EHLO", HANG_UP, CarrierDown),
    ],
)
async def test_what_a_refusal_means(command: str, reply: str, verdict: type[Exception] | None) -> None:
    server = SmtpServer()
    server.plan(command, reply)
    async with server.listening():
        if verdict is None:
            await carrier(server).send(mail())
        else:
            with pytest.raises(verdict):
                await carrier(server).send(mail())


async def test_a_reply_that_quotes_a_link_is_told_without_it() -> None:
    server = SmtpServer()
    server.plan("END", "550 5.7.1 blocked: https://hub.test/set-password?token=s3cret \x1b[31m")
    async with server.listening():
        with pytest.raises(MailRefused) as refusal:
            await carrier(server).send(mail())
    assert "s3cret" not in str(refusal.value)
    assert "\x1b" not in str(refusal.value)
    assert str(refusal.value).startswith("550 5.7.1 blocked: (address left out)")


@pytest.mark.parametrize("command", ["CONNECT", "EHLO", "RCPT", "END"])
async def test_a_silent_server_is_given_up(command: str) -> None:
    server = SmtpServer()
    server.plan(command, SILENCE, SILENCE)
    async with server.listening():
        with pytest.raises(CarrierDown):
            await carrier(server, silence_seconds=0.2).send(mail())
        with pytest.raises(CarrierDown, match="did not finish within"):
            await carrier(server, whole_seconds=0.2).send(mail())


async def test_nobody_listens() -> None:
    server = SmtpServer()
    async with server.listening():
        pass
    with pytest.raises(CarrierDown, match="not reachable"):
        await carrier(server).send(mail())
    with pytest.raises(CarrierDown, match="not reachable"):
        await carrier(server).check()


async def test_a_cancelled_mail_lets_its_thread_go() -> None:
    server = SmtpServer()
    server.plan("MAIL", SILENCE)
    async with server.listening():
        sending = carrier(server, silence_seconds=1000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sending.send, mail())
            await until(lambda: "MAIL" in server.commands)
            nursery.cancel_scope.cancel()
        # Its connection is cut: the thread need not wait for as long as the server may be silent.
        await until(lambda: not sending.busy, seconds=300)
    assert server.mails == []


@pytest.mark.parametrize(
    "recipient",
    ["maria@acme.com\r\nBcc: all@acme.com", "a@b>\r\nRCPT TO:<c@d", "nobody", "", "a b@c.d", "@c.d", "a@", "a\0b@c.d"],
)
async def test_a_recipient_that_is_none_is_refused_before_anybody_hears_of_it(recipient: str) -> None:
    server = SmtpServer()
    async with server.listening():
        with pytest.raises(MailRefused):
            await carrier(server).send(mail(recipient=recipient))
    assert server.connections == 0


async def test_a_subject_stays_one_header() -> None:
    server = SmtpServer()
    hostile = "Hi\r\nBcc: all@acme.com\r\n\r\nbody\u2028\u202egnp.exe" + "ü" * 300
    async with server.listening():
        await carrier(server).send(mail(subject=hostile))
    [got] = server.mails
    assert got.message["Bcc"] is None
    assert got.message["Subject"].startswith("Hi Bcc: all@acme.com body gnp.exeüü")
    assert "body" not in got.body("html")


async def test_letters_of_other_alphabets_in_an_address() -> None:
    server = SmtpServer()
    async with server.listening():
        await carrier(server).send(mail(recipient="jürgen@acme.com"))
    assert server.mails[0].recipient == "jürgen@acme.com"


async def test_a_folder_takes_mail_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    keeping = FolderCarrier(folder)
    assert str(folder) in await keeping.check()
    assert not folder.exists(), "looking changes nothing"
    await keeping.send(mail())
    await keeping.send(mail())
    [file] = folder.iterdir()
    assert file.name == "20260315-100000-one.eml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"Subject: A request waits" in file.read_bytes()
    (tmp_path / "file").write_text("")
    with pytest.raises(CarrierDown, match="cannot be written"):
        await FolderCarrier(tmp_path / "file").send(mail())
    with pytest.raises(CarrierDown, match="cannot be written"):
        await FolderCarrier(tmp_path / "file" / "within").check()
