"""The outbox: a mail is sent once whatever fails, by one of many nodes, and leaves neither body nor link behind."""

from __future__ import annotations

from datetime import timedelta
from email.headerregistry import Address
from typing import Any

import pytest
import trio
from cryptography.fernet import Fernet
from sqlalchemy import Connection

from controlplane.integrations.mail_carrier import CarrierDown, Message
from controlplane.secret import Secret
from controlplane.services.letters.accounts import address_test, reset_password
from controlplane.services.mail import LEASE, MailService
from controlplane.services.sealing import Sealer
from controlplane.store import mail
from controlplane.store.mail import Mail, Taken
from protocol.faults import Overloaded
from tests.end_to_end.hub_process import until
from tests.fakes.smtp_server import HANG_UP, SILENCE
from tests.integration.mail.office import Office

LINK = "https://hub.test/set-password#s3cret-canary"


def draft(office: Office, key: str = "reset:1", **values: Any) -> Mail:
    letter = reset_password(link=LINK, name="Maria", expires_at=office.clock.now() + timedelta(hours=1))
    return office.service.draft("resetPassword", "maria@acme.com", letter, dedupe_key=key, **values)


class Stubborn:
    """A carrier that is told what to do with each mail."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.crash = False

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if self.crash:
            await trio.sleep_forever()

    async def check(self) -> str:
        return "here"


async def test_a_link_is_sealed_at_rest_and_gone_after_sending(office: Office, caplog: Any, capsys: Any) -> None:
    assert await office.store.add(draft(office))
    [row] = await office.rows()
    assert b"canary" not in bytes(row.body)
    assert "canary" not in f"{row.subject} {row.dedupe_key}"
    await office.flush()
    [got] = office.server.mails
    assert LINK in got.body("plain")
    assert LINK in got.body("html")
    [row] = await office.rows()
    assert (row.state, row.body, row.attempts) == ("sent", None, 1)
    assert "canary" not in caplog.text + "".join(capsys.readouterr())


async def test_what_is_rolled_back_is_not_sent(office: Office) -> None:
    written = draft(office)

    def fail(connection: Connection) -> None:
        assert mail.enqueue(connection, written)
        raise Overloaded("not this time")

    with pytest.raises(Overloaded):
        await office.database.write(fail)
    await office.flush()
    assert (await office.rows(), office.server.mails) == ([], [])


async def test_of_one_dedupe_key_the_first_is_sent(office: Office) -> None:
    added: list[bool] = []

    async def add() -> None:
        added.append(await office.store.add(draft(office)))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(add)
    await office.flush()
    assert not await office.store.add(draft(office))
    await office.flush()
    assert (sum(added), len(office.server.mails)) == (1, 1)


async def test_a_commit_wakes_the_sender(office: Office) -> None:
    async with office.sending():
        await until(lambda: office.service.figures["sending"] == 0)
        for number in range(3):
            await office.store.add(draft(office, str(number)))
            await until(lambda number=number: len(office.server.mails) == number + 1, seconds=25)  # type: ignore[misc]


async def test_two_nodes_and_each_mail_once_and_few_at_a_time(office: Office) -> None:
    for number in range(40):
        await office.store.add(draft(office, str(number)))
    async with office.sending(office.service, office.node(), office.node()):
        await until(office.is_idle)
    ids = [got.message_id for got in office.server.mails]
    assert len(ids) == len(set(ids)) == 40
    assert office.server.most_at_once <= 12
    assert await office.states() == ["sent"] * 40


async def test_a_server_that_comes_back_gets_everything_once(office: Office) -> None:
    office.server.plan("CONNECT", *["421 not now"] * 5)
    office.server.plan("END", HANG_UP)  # taken, but never said so: the one that comes twice
    for number in range(6):
        await office.store.add(draft(office, str(number)))
    async with office.sending():
        await until(lambda: office.service.figures["carrier_down"] >= 5)
        for _ in range(2):
            await until(lambda: office.service.figures["sending"] == 0)
            office.clock.advance(seconds=10)
            office.service.poke()
        await until(_all_sent(office))
    ids = [got.message_id for got in office.server.mails]
    assert (len(ids), len(set(ids))) == (7, 6)
    assert await office.states() == ["sent"] * 6


def _all_sent(office: Office) -> Any:
    async def look() -> bool:
        office.clock.advance(seconds=1)
        office.service.poke()
        return all(state == "sent" for state in await office.states())

    return look


async def test_while_the_server_is_down_one_mail_at_a_time_knocks(office: Office) -> None:
    for number in range(30):
        await office.store.add(draft(office, str(number)))
    office.server.plan("CONNECT", *["554 go away"] * 10)
    async with office.sending():
        await until(_all_sent(office))
    rows = await office.rows()
    assert sum(row.attempts for row in rows) == 40
    assert office.server.connections == 40


async def test_a_refusal_for_now_is_tried_again_and_one_for_good_is_not(office: Office) -> None:
    office.server.plan("RCPT", "450 greylisted", "450 greylisted", "250 ok", "550 5.1.1 unknown")
    await office.store.add(draft(office, "patient"))
    await office.flush()
    [row] = await office.rows()
    assert (row.state, row.attempts, row.last_error) == ("queued", 1, "450 greylisted")
    wait = (row.next_attempt_at - office.clock.now()).total_seconds()
    assert 48 <= wait <= 72
    office.clock.advance(seconds=wait)
    await office.flush()
    [row] = await office.rows()
    assert 96 <= (row.next_attempt_at - office.clock.now()).total_seconds() <= 144
    office.clock.advance(seconds=144)
    await office.flush()
    assert await office.states() == ["sent"]
    await office.store.add(draft(office, "refused"))
    await office.flush()
    row = (await office.rows())[1]
    assert (row.state, row.body, row.last_error) == ("failed", None, "550 5.1.1 unknown")
    office.clock.advance(days=1)
    await office.flush()
    assert len(office.server.mails) == 1


async def test_a_mail_that_is_not_worth_sending_any_more_is_abandoned(office: Office) -> None:
    office.server.plan("RCPT", *["450 later"] * 50)
    await office.store.add(draft(office, expires_at=office.clock.now() + timedelta(hours=1)))
    for _ in range(4):
        await office.flush()
        office.clock.advance(minutes=20)
    await office.flush()
    abandoned, waiting = await office.store.sweep(now=office.clock.now(), keep=timedelta(days=30))
    assert (abandoned, waiting) in [(1, 0), (0, 0)]  # or the sender's own sweep was quicker
    [row] = await office.rows()
    assert (row.state, row.body) == ("abandoned", None)
    assert row.last_error == "its time was over; last: 450 later"
    office.clock.advance(days=31)
    await office.store.sweep(now=office.clock.now(), keep=timedelta(days=30))
    assert await office.rows() == []


async def test_a_crash_between_their_yes_and_our_commit_shows_by_the_message_id(office: Office) -> None:
    await office.store.add(draft(office))
    dying = Stubborn()
    dying.crash = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(office.node(dying).run)
        await until(lambda: dying.sent)
        nursery.cancel_scope.cancel()
    [row] = await office.rows()
    assert (row.state, row.attempts) == ("queued", 1)
    await office.flush()
    assert office.server.mails == [], "somebody may still be sending it"
    office.clock.advance(seconds=LEASE.total_seconds() + 1)
    await office.flush()
    assert [got.message_id for got in office.server.mails] == [f"<{dying.sent[0].message_id}>"]
    assert await office.states() == ["sent"]


async def test_who_was_thought_dead_changes_nothing_but_that_it_was_sent(office: Office) -> None:
    await office.store.add(draft(office))
    now = office.clock.now()
    [first] = await office.store.take(now=now, lease=LEASE, most=4)
    assert await office.store.take(now=now, lease=LEASE, most=4) == []
    now += LEASE
    [second] = await office.store.take(now=now, lease=LEASE, most=4)
    assert (first.attempt, second.attempt) == (1, 2)
    assert not await office.store.put_off(first, until=now, error="late")
    assert not await office.store.settle(first, "failed", now=now, error="late")
    assert await office.store.settle(first, "sent", now=now)
    assert not await office.store.settle(second, "failed", now=now, error="refused as a duplicate")
    assert await office.states() == ["sent"]


class Forgetful:
    """The outbox of a database that is away just when a mail was sent."""

    def __init__(self, store: mail.MailStore) -> None:
        self._store = store
        self.failures = 2

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def settle(self, taken: Taken, state: str, **values: Any) -> bool:
        if self.failures:
            self.failures -= 1
            raise Overloaded("the database is away")
        return await self._store.settle(taken, state, **values)


async def test_a_database_that_is_away_for_a_moment_costs_no_second_mail(office: Office) -> None:
    forgetful = Forgetful(office.store)
    office.store = forgetful  # type: ignore[assignment]
    office.service = office.node()
    await office.store.add(draft(office))
    async with office.sending():
        await until(lambda: office.server.mails)
        await until(office.is_idle)
        await until(lambda: office.service.figures["sending"] == 0)
    assert (forgetful.failures, len(office.server.mails), await office.states()) == (0, 1, ["sent"])


async def test_what_is_on_its_way_when_the_hub_ends_may_arrive(office: Office) -> None:
    office.server.plan("MAIL", SILENCE)
    await office.store.add(draft(office, "stuck"))
    async with office.sending():
        await until(lambda: "MAIL" in office.server.commands)
        ended = trio.current_time()
    assert trio.current_time() - ended < 40, "a server that says nothing does not keep the Hub"
    [row] = await office.rows()
    assert (row.state, row.attempts) == ("queued", 1)


async def test_a_body_that_no_key_opens_fails_alone(office: Office) -> None:
    theirs = Sealer([Secret(Fernet.generate_key().decode())])
    letter = address_test(public_url="https://hub.test", asked_by="Olga")
    written = office.node(sealer=theirs).draft("test", "maria@acme.com", letter, dedupe_key="1 theirs")
    await office.store.add(written)
    await office.store.add(draft(office, "2 ours"))
    await office.flush()
    assert await office.states() == ["failed", "sent"]


async def test_hostile_recipients_fail_alone(office: Office) -> None:
    letter = address_test(public_url="https://hub.test", asked_by="Olga")
    for number, to in enumerate(["a@b\r\nRCPT TO:<c@d>", "<>", "ä" * 70 + "@b.c", "ok@acme.com"]):
        await office.store.add(office.service.draft("test", to, letter, dedupe_key=str(number)))
    await office.flush()
    assert await office.states() == ["failed", "failed", "failed", "sent"]


async def test_mail_that_is_off_keeps_what_is_written_and_says_so(office: Office) -> None:
    off = MailService(
        office.store,
        carrier=None,
        sender=Address("LetsBe Hub", "hub", "letsbe.biz"),
        sealer=office.sealer,
        clock=office.clock,
        randomness=office.randomness,
    )
    assert (off.on, off.figures["on"]) == (False, 0.0)
    await office.store.add(draft(office))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(off.run)
        await until(lambda: off.figures["waiting"] == 1)
        nursery.cancel_scope.cancel()
    with pytest.raises(CarrierDown, match="HUB_SMTP_URL"):
        await off.send_now("a@b.c", address_test(public_url="https://hub.test", asked_by="Olga"))
    await office.flush()
    assert await office.states() == ["sent"]


async def test_a_test_mail_has_its_verdict_at_once(office: Office) -> None:
    letter = address_test(public_url="https://hub.test", asked_by="Olga Owner")
    await office.service.send_now("maria@acme.com", letter)
    assert "Olga Owner sent this mail from https://hub.test" in " ".join(office.server.mails[0].body("plain").split())
    office.server.plan("RCPT", "550 unknown")
    with pytest.raises(Exception, match="550 unknown"):
        await office.service.send_now("maria@acme.com", letter)
    assert await office.rows() == []
