"""The runtime's parts by themselves: mailbox, timers, ports, redaction, supervision rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import trio
import trio.testing

from actors.runtime.mailbox import NOTHING, Mailbox
from actors.runtime.message import Asked
from actors.runtime.ports import SeededRandomness, SystemClock, SystemIds, SystemRandomness, VirtualClock
from actors.runtime.redaction import Redactor, harmful, scrub, view_of_error
from actors.runtime.supervisor import Intensity, Supervision, Supervisor
from actors.runtime.timers import Timer, Timers


async def test_a_mailbox_gives_back_what_it_took() -> None:
    mailbox = Mailbox(2, 1)
    ask = Asked("ask", 1)
    assert [mailbox.put(None, False), mailbox.put(ask, False), mailbox.put("c", False)] == [True, True, False]
    assert [mailbox.put("x", True), mailbox.put("y", True)] == [True, False]
    assert (len(mailbox), mailbox.waiting_control, list(mailbox)) == (3, 1, ["x", None, ask])
    assert mailbox.remove(ask)
    assert not mailbox.remove(ask)
    assert [mailbox.take(), mailbox.take(), mailbox.take()] == ["x", None, NOTHING]
    for entry in ("a", ask):
        mailbox.put(entry, False)
    assert mailbox.take_asks() == [ask]
    assert mailbox.clear() == ["a"]
    assert not mailbox


async def test_timers_fire_in_order_and_once() -> None:
    timers = Timers()
    fired: list[tuple[object, float]] = []
    owned: set[Timer] = set()

    def fire(name: object) -> None:
        fired.append((name, trio.current_time()))

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        timers.after(5, fire, "five")
        await trio.sleep(1)
        timers.after(1, fire, "two", owned)  # earlier than what the task is waiting for
        cancelled = timers.after(2, fire, "never", owned)
        assert len(owned) == 2
        cancelled.cancel()
        cancelled.cancel()
        timers.after(-1, fire, "now")
        assert len(timers) == 3
        await trio.sleep(10)
        assert not owned
        assert len(timers) == 0
        nursery.cancel_scope.cancel()
    assert [(name, at - began) for name, at in fired] == [("now", 1), ("two", 2), ("five", 5)]


async def test_cancelled_timers_do_not_pile_up() -> None:
    timers = Timers()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        kept: list[object] = []
        timers.after(2_000, kept.append, "kept")
        for _ in range(10_000):
            timers.after(1_000, kept.append, "never").cancel()
        assert len(timers._heap) < 200
        assert len(timers) == 1
        await trio.sleep(3_000)
        assert kept == ["kept"]
        nursery.cancel_scope.cancel()


async def test_many_timers_at_one_moment_do_not_hold_up_the_loop() -> None:
    timers = Timers()
    fired: list[object] = []
    seen: list[int] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        for number in range(1_000):
            timers.after(1, fired.append, number)
        await trio.sleep(1)
        while len(fired) < 1_000:
            seen.append(len(fired))
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert fired == list(range(1_000))
    assert len(seen) >= 4


async def test_a_virtual_clock_follows_trios() -> None:
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    clock = VirtualClock(start)
    await trio.sleep(90)
    assert clock.now() == start + timedelta(seconds=90)
    assert clock.monotonic() == trio.current_time() == SystemClock().monotonic()
    with pytest.raises(ValueError, match="aware"):
        VirtualClock(datetime(2026, 3, 1))


def test_a_virtual_clock_made_outside_begins_with_its_first_use() -> None:
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    clock = VirtualClock(start)

    async def look() -> None:
        assert clock.now() == start

    trio.run(look)


def test_the_system_clock_is_aware() -> None:
    assert SystemClock().now().tzinfo is UTC


class StuckClock(SystemClock):
    moment = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


def test_ids_are_uuid7_and_rise_though_the_clock_stands_or_turns_back() -> None:
    clock = StuckClock()
    ids = SystemIds(clock, SystemRandomness())
    made = [ids.uuid7() for _ in range(2_000)]
    clock.moment -= timedelta(hours=1)
    made += [ids.uuid7() for _ in range(2_000)]
    clock.moment += timedelta(hours=2)
    made.append(ids.uuid7())
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(isinstance(one, UUID) and one.version == 7 and one.variant == "specified in RFC 4122" for one in made)
    assert made[0].int >> 80 == int(StuckClock.moment.timestamp() * 1000)
    assert made[-1].int >> 80 == int(clock.moment.timestamp() * 1000)


def test_the_same_seed_is_the_same_chance() -> None:
    one, other = SeededRandomness(3), SeededRandomness(3)
    assert [one.uniform(0, 1), one.token(8)] == [other.uniform(0, 1), other.token(8)]
    real = SystemRandomness()
    assert 1 <= real.uniform(1, 2) <= 2
    assert len(real.token(16)) == 16
    assert real.token(16) != real.token(16)


@pytest.mark.parametrize(
    "name",
    ["payload", "toolArgs", "tool_args", "hubApiKey", "api-key", "registration_token", "newPassword", "set_cookie"],
)
def test_fields_that_may_hold_secrets(name: str) -> None:
    assert harmful(name)


@pytest.mark.parametrize("name", ["order_id", "status", "attempt", "sequence", "reason", "agentId", "toolName"])
def test_fields_that_may_be_shown(name: str) -> None:
    assert not harmful(name)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("order ord_01jz7qk3c4e8rbk2v5x6y7z8a9 paused", "order ord_01jz7qk3c4e8rbk2v5x6y7z8a9 paused"),
        ("curl -H 'Authorization: Bearer abc.def'", "curl -H 'Authorization: •••'"),
        ("Bearer abc.def rest", "Bearer ••• rest"),
        ("postgres://hub:hunter2@db/hub", "postgres://•••@db/hub"),
        ("password=hunter2 next", "password=••• next"),
        ("bad password hunter2", "bad password •••"),
        ('{"client_secret": "hunter2"}', '{"client_secret": •••"}'),
        ("key hk_ab12_Zx-9 revoked", "key ••• revoked"),
        ("a" * 64, "•••"),
        ("word " * 40, ("word " * 40)[:79] + "…"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, shown: str) -> None:
    assert "hunter2" not in scrub(text)
    assert "abc.def" not in scrub(text)
    assert scrub(text) == shown


def test_a_secret_that_the_cut_would_halve_is_hidden() -> None:
    assert "hunter2" not in scrub("x" * 10 + " " + "word " * 12 + "password=hunter2hunter2hunter2")


def test_messages_of_any_make_have_a_view() -> None:
    redactor = Redactor()
    assert redactor.view("text").fields == {}
    assert redactor.view({"password": "x"}).fields == {}
    assert redactor.view(None).type == "NoneType"


def test_an_error_that_cannot_be_printed_is_still_shown() -> None:
    class Nasty(Exception):
        def __str__(self) -> str:
            raise ValueError("no")

    assert view_of_error(Nasty()).type == "Nasty"


def test_the_window_of_restarts_slides() -> None:
    intensity = Intensity()
    assert [intensity.count(now, 10) for now in (0, 4, 9, 12, 13, 30)] == [1, 2, 3, 3, 4, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_restarts": -1},
        {"within_seconds": 0},
        {"backoff_initial_seconds": 0},
        {"backoff_initial_seconds": 5, "backoff_max_seconds": 1},
        {"jitter": 2},
        {"cool_down_seconds": -1},
    ],
)
def test_supervision_refuses_nonsense(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        Supervision(**wrong)  # type: ignore[arg-type]


def test_a_supervisor_has_one_parent() -> None:
    root = Supervisor("root")
    child = Supervisor("child", parent=root)
    root.adopt(child)
    assert root.children == [child]
    with pytest.raises(ValueError, match="has a parent"):
        Supervisor("other").adopt(child)
