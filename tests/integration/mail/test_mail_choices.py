"""Mail by the settings of the database: off until a server is named, by the new one from the next mail on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from controlplane.integrations.smtp import SmtpCarrier
from controlplane.mail_route import SmtpRoute
from controlplane.secret import Secret
from controlplane.services.letters.accounts import address_test
from controlplane.services.mail import MailService
from controlplane.services.mail_choices import MailChoices
from controlplane.services.mail_trial import try_out
from controlplane.services.sealing import Sealer
from controlplane.store.system_settings import NEWS, SettingStore
from tests.end_to_end.hub_process import until
from tests.fakes.smtp_server import SmtpServer, certificates
from tests.integration.mail.office import SENDER, Office
from tests.people import TESTER

PASSWORD = "the password of the mail server"


class Post:
    """An office without HUB_SMTP_URL, and a mail server that wants to be signed in at."""

    def __init__(self, office: Office, folder: Path) -> None:
        self.office = office
        context, self.trusting = certificates(folder)
        self.server = SmtpServer(context=context, accounts={"hub": PASSWORD})
        self.settings = SettingStore(office.database, clock=office.clock, ids=office.ids, vault=office.sealer)
        self.service = self.node(office.sealer)

    def node(self, sealer: Sealer, **fixed: Any) -> MailService:
        settings = SettingStore(self.office.database, clock=self.office.clock, ids=self.office.ids, vault=sealer)
        return MailService(
            self.office.store,
            carrier=fixed.get("carrier"),
            sender=SENDER,
            sealer=sealer,
            clock=self.office.clock,
            randomness=self.office.randomness,
            choices=MailChoices(settings, self.build),
        )

    def build(self, route: SmtpRoute, hello_name: str) -> SmtpCarrier:
        return SmtpCarrier(route, hello_name=hello_name, context=self.trusting, silence_seconds=20)

    async def name(self, server: SmtpServer, **values: Any) -> None:
        """Staff name a mail server."""
        chosen = {
            "email.smtpHost": "127.0.0.1",
            "email.smtpPort": server.port,
            "email.smtpUser": "hub",
            "email.smtpPassword": PASSWORD,
            "email.fromAddress": "post@letsbe.biz",
            "email.fromName": "LetsBe Post",
        }
        await self.settings.change(TESTER, chosen | values)

    async def write(self, to: str) -> None:
        letter = address_test(public_url="https://hub.test", asked_by="Olga")
        await self.office.store.add(self.service.draft("test", to, letter, dedupe_key=to))

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        self.office.database.listen(NEWS, self.service.choose_anew)
        async with self.office.sending(self.service):
            yield


async def test_what_was_written_goes_as_soon_as_a_server_is_named(office: Office, tmp_path: Path) -> None:
    post = Post(office, tmp_path)
    async with post.server.listening(), post.sending():
        await post.write("maria@acme.com")
        await until(lambda: post.service.figures["waiting"] == 1)
        assert post.service.on is False
        await post.name(post.server)
        await until(lambda: len(post.server.mails) == 1)
        await until(office.is_idle)
    [mail] = post.server.mails
    assert (mail.sender, mail.encrypted, mail.signed_in_as) == ("post@letsbe.biz", True, "hub")
    assert mail.message["From"] == "LetsBe Post <post@letsbe.biz>"
    assert post.service.on is True
    assert await office.states() == ["sent"]


async def test_another_server_takes_over_at_once_while_the_first_is_down(office: Office, tmp_path: Path) -> None:
    post = Post(office, tmp_path)
    async with post.server.listening():
        await post.name(post.server, **{"email.smtpPassword": "wrong"})
        async with post.sending():
            await post.write("maria@acme.com")
            await until(lambda: post.service.figures["carrier_down"] >= 1)
            await post.name(post.server)
            office.clock.advance(hours=1)  # the mail itself waits to be tried again
            post.service.poke()
            await until(lambda: len(post.server.mails) == 1)
            await until(office.is_idle)
    assert await office.states() == ["sent"]


async def test_no_more_mail_goes_once_the_server_is_taken_away(office: Office, tmp_path: Path) -> None:
    post = Post(office, tmp_path)
    async with post.server.listening(), post.sending():
        await post.name(post.server)
        await post.write("maria@acme.com")
        await until(lambda: len(post.server.mails) == 1)
        await post.name(post.server, **{"email.smtpHost": None})
        await post.write("mark@acme.com")
        await until(lambda: post.service.on is False)
    assert len(post.server.mails) == 1
    assert await office.states() == ["sent", "queued"]


async def test_the_environment_wins_over_the_settings(office: Office, tmp_path: Path) -> None:
    post = Post(office, tmp_path)
    async with post.server.listening():
        await post.name(post.server)
        fixed = post.node(office.sealer, carrier=office.carrier())
        tried = await try_out(fixed, "maria@acme.com", asked_by="Olga", public_url="https://hub.test")
    assert (tried.sent, tried.route) == (True, f"smtp+plain://127.0.0.1:{office.server.port}")
    assert [mail.sender for mail in office.server.mails] == ["hub@hub.test"]
    assert post.server.mails == []


async def test_a_trial_says_in_words_how_it_went(office: Office, tmp_path: Path) -> None:
    post = Post(office, tmp_path)

    async def tried() -> Any:
        return await try_out(post.service, "maria@acme.com", asked_by="Olga", public_url="https://hub.test")

    async with post.server.listening():
        off = await tried()
        assert (off.sent, off.route) == (False, None)
        assert "neither HUB_SMTP_URL nor the settings" in off.message
        await post.name(post.server, **{"email.smtpPassword": "wrong"})
        assert "our sign-in is refused" in (await tried()).message
        await post.name(post.server)
        post.server.plan("RCPT", "550 nobody here", "450 later")
        refused, deferred, sent = await tried(), await tried(), await tried()
    assert (refused.sent, "refused for good: 550 nobody here" in refused.message) == (False, True)
    assert (deferred.sent, "not taken now: 450 later" in deferred.message) == (False, True)
    assert (sent.sent, sent.route) == (True, f"smtp://hub:•••@127.0.0.1:{post.server.port}")
    assert len(post.server.mails) == 1


async def test_a_password_that_no_key_opens_turns_mail_off_and_stops_nothing(office: Office, tmp_path: Path) -> None:
    post = Post(office, tmp_path)
    async with post.server.listening():
        await post.name(post.server)
        stranger = post.node(Sealer([Secret(Fernet.generate_key().decode())]))
        assert await stranger.way() is None
        assert (await post.service.way()) is not None


async def test_nobody_is_told_of_approvals_while_mail_is_off(office: Office, tmp_path: Path) -> None:
    post = Post(office, tmp_path)
    resident = await office.resident()
    await office.ask(resident)
    office.clock.advance(minutes=5)
    mailer = office.reader(post.service)
    async with post.server.listening():
        await mailer.look()
        assert await office.states() == []
        await post.name(post.server)
        await mailer.look()
        assert await office.states() == ["queued"]
