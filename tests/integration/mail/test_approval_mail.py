"""Customers are told of what waits: at once, in a digest or never, once each, and of nothing that is decided."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import trio
import trio.testing
from sqlalchemy import text

from controlplane.store import mail
from controlplane.store.database import Database
from controlplane.store.events import NEWS as EVENTS
from protocol.words import ApprovalMail, CommandClass
from tests.end_to_end.hub_process import until
from tests.integration.mail.office import PUBLIC_URL, Office, open_office


async def test_after_the_grace_one_mail_leads_to_the_card(office: Office) -> None:
    resident = await office.resident()
    asked = await office.ask(resident, "Delete /srv/old (47 files)")
    assert await office.mailer.look() == pytest.approx(30)
    assert await office.states() == []
    office.clock.advance(seconds=30)
    await office.mailer.look()
    await office.mailer.look()
    await office.flush()
    [got] = office.server.mails
    assert got.recipient == resident.customer.email
    assert got.message["Subject"] == f"A request waits for your decision on {resident.customer.id[5:]}.test"
    link = f"{PUBLIC_URL}/customer/approvals/{asked.id}"
    for kind in ("plain", "html"):
        body = got.body(kind)
        assert link in body
        assert set(re.findall(r"https?://[^\s\"<,]+", body)) <= {
            link,
            f"{PUBLIC_URL}/customer/approvals",
            f"{PUBLIC_URL}/customer",
        }
        assert "Delete /srv/old (47 files)" in body
        assert "Touches: 47 files" in body
        assert "red: cannot be undone" in body
        assert "at once, a digest or never" in " ".join(body.split())
    assert await office.states() == ["sent"]


async def test_a_request_decided_within_the_grace_is_not_mailed(office: Office) -> None:
    resident = await office.resident()
    await office.decide(await office.ask(resident))
    office.clock.advance(seconds=31)
    await office.mailer.look()
    assert await office.states() == []


async def test_a_request_decided_before_its_mail_went_out_is_not_mailed(office: Office) -> None:
    resident = await office.resident()
    first, second = await office.ask(resident), await office.ask(resident)
    office.clock.advance(seconds=31)
    await office.mailer.look()
    await office.decide(first)
    await office.decide(second)
    await office.flush()
    assert (await office.states(), office.server.mails) == (["abandoned"], [])


async def test_what_expires_meanwhile_is_not_mailed(office: Office) -> None:
    resident = await office.resident()
    await office.ask(resident, expires_in_seconds=20)
    await office.ask(resident, expires_in_seconds=60)
    office.clock.advance(seconds=31)
    await office.mailer.look()
    office.clock.advance(seconds=30)
    await office.flush()
    await office.store.sweep(now=office.clock.now(), keep=timedelta(days=1))
    assert (await office.states(), office.server.mails) == (["abandoned"], [])


async def test_a_burst_is_one_mail_and_what_follows_within_the_minute_another(office: Office) -> None:
    resident, other = await office.resident(), await office.resident()
    for number in range(25):
        await office.ask(resident, f"burst {number}")
    await office.ask(other)
    office.clock.advance(seconds=31)
    await office.mailer.look()
    await office.flush()
    for number in range(3):
        await office.ask(resident, f"later {number}")
    office.clock.advance(seconds=59)
    assert await office.mailer.look() == pytest.approx(1)
    office.clock.advance(seconds=1)
    await office.mailer.look()
    await office.flush()
    mine = [got for got in office.server.mails if got.recipient == resident.customer.email]
    assert [got.message["Subject"] for got in mine] == [
        "25 requests wait for your decision",
        "3 requests wait for your decision",
    ]
    assert mine[0].body("plain").count("burst ") == 20
    assert "The first 20 of 25 are listed here." in mine[0].body("plain")
    assert "burst" not in mine[1].body("plain")
    assert len(office.server.mails) == 3


async def test_a_digest_tells_of_all_that_waits_once_an_hour(office: Office) -> None:
    resident = await office.resident()
    await office.choose(resident, ApprovalMail.DIGEST)
    await office.ask(resident, "the first")
    office.clock.advance(seconds=31)
    await office.mailer.look()
    await office.flush()
    for minute in range(59):
        office.clock.advance(minutes=1)
        if minute in (5, 6):
            await office.ask(resident, f"at minute {minute}")
        await office.mailer.look()
    assert await office.states() == ["sent"]
    office.clock.advance(minutes=1)
    await office.mailer.look()
    await office.flush()
    first, second = (got.body("plain") for got in office.server.mails)
    assert "the first" in first
    assert all(words in second for words in ("the first", "at minute 5", "at minute 6"))
    assert office.server.mails[1].message["Subject"] == "3 requests wait for your decision"
    office.clock.advance(hours=5)
    await office.mailer.look()
    assert len(await office.states()) == 2, "nothing new, nothing told"


async def test_never_is_never_until_the_customer_thinks_otherwise(office: Office) -> None:
    resident = await office.resident()
    await office.choose(resident, ApprovalMail.NEVER)
    await office.ask(resident)
    office.clock.advance(hours=2)
    await office.mailer.look()
    assert await office.states() == []
    await office.choose(resident, ApprovalMail.AT_ONCE)
    await office.mailer.look()
    assert await office.states() == ["queued"]


async def test_who_has_the_console_open_is_given_longer(office: Office) -> None:
    resident, away = await office.resident(), await office.resident()
    office.watching.append(resident.key)
    await office.ask(resident)
    await office.ask(away)
    office.clock.advance(seconds=31)
    await office.mailer.look()
    assert [row.recipient for row in await office.rows()] == [away.customer.email]
    office.clock.advance(seconds=270)
    await office.mailer.look()
    assert len(await office.rows()) == 2


async def test_who_may_not_sign_in_is_not_mailed(office: Office) -> None:
    resident = await office.resident()
    await office.ask(resident)
    suspend = text("UPDATE users SET status = 'SUSPENDED' WHERE id = CAST(:id AS uuid)")
    await office.database.write(lambda connection: connection.execute(suspend, {"id": resident.key}) and None)
    office.clock.advance(seconds=31)
    await office.mailer.look()
    assert await office.states() == []


async def test_while_the_server_is_away_mails_do_not_pile_up(office: Office) -> None:
    resident = await office.resident()
    for number in range(10):
        await office.ask(resident, f"wish {number}")
        office.clock.advance(minutes=2)
        await office.mailer.look()
    assert await office.states() == ["queued"]
    await office.flush()
    await office.mailer.look()
    await office.flush()
    assert [got.message["Subject"] for got in office.server.mails] == [
        f"A request waits for your decision on {resident.customer.id[5:]}.test",
        "9 requests wait for your decision",
    ]


async def test_of_many_nodes_one_tells(office: Office) -> None:
    residents = [await office.resident() for _ in range(5)]
    for resident in residents:
        await office.ask(resident)
    office.clock.advance(seconds=31)
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(office.reader(office.node()).look)
    await office.mailer.look()
    await office.flush()
    assert sorted(got.recipient for got in office.server.mails) == sorted(one.customer.email for one in residents)


HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "</div></body></html><a href='javascript:alert(1)'>x</a>",
    "{{ letter.subject }} {% raw %}",
    "\u202egnp.exe\u2066 \u200b\u0000x".replace("\0", ""),
    "line\r\nBcc: all@acme.com\r\n\r\n<p>second body",
    "\r\n.\r\nMAIL FROM:<a@b>\r\n",
    "x" * 100_000,
    "<" * 100_000,
    "Your account is suspended, see https://evil.test/login or www.evil.test",
    "😀" * 5_000,
]


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
async def test_what_an_agent_says_stays_words(office: Office, said: str) -> None:
    resident = await office.resident(name="<b>Maria</b>\u202e")
    asked = await office.ask(
        resident, said, agent_id="<i>x\r\nBcc: a@b", tool_name="<u>", impact=said[:500], command_class=CommandClass.RED
    )
    office.clock.advance(seconds=31)
    await office.mailer.look()
    await office.flush()
    [got] = office.server.mails
    assert got.message.get_all("Bcc") is None
    assert [part.get_content_type() for part in got.message.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    assert len(got.content) < 20_000
    html, plain = got.body("html"), got.body("plain")
    assert not re.search(r"<(script|img|i|u|b)\b", html)
    assert html.count("<a href=") == 2
    assert set(re.findall(r'href="([^"]*)"', html)) == {f"{PUBLIC_URL}/customer/approvals/{asked.id}"}
    for body in (html, plain):
        assert not re.search("[\u200b-\u200f\u202a-\u202e\u2066-\u2069]", body)
        assert "https://evil.test" not in body
        assert "www.evil.test" not in body


async def test_a_commit_wakes_the_reader_and_that_wakes_the_sender(database: Database) -> None:
    async with open_office(database, grace_seconds=0) as office, trio.open_nursery() as nursery:
        office.database.listen(EVENTS, office.mailer.poke)
        office.database.listen(mail.NEWS, office.mailer.poke)
        nursery.start_soon(office.mailer.run)
        async with office.sending():
            resident = await office.resident()
            await office.ask(resident)
            await until(lambda: len(office.server.mails) == 1)
            office.clock.advance(minutes=2)
            await office.ask(resident)
            await until(lambda: len(office.server.mails) == 2)
        nursery.cancel_scope.cancel()


async def test_what_falls_due_sooner_than_it_looks_again_is_mailed(database: Database) -> None:
    async with open_office(database, grace_seconds=3) as office, trio.open_nursery() as nursery:
        await office.ask(await office.resident())
        office.clock.advance(seconds=2.9)  # it looks every half second
        assert 0 < await office.mailer.look() < 0.5
        nursery.start_soon(office.mailer.run)
        await trio.testing.wait_all_tasks_blocked(0.05)
        office.clock.advance(seconds=0.2)
        await until(office.states, what="the mail")
        nursery.cancel_scope.cancel()
