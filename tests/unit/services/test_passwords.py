"""Passwords: hashed apart from the loop, few at a time, and none that is guessed first."""

from __future__ import annotations

import threading

import pytest
import trio
import trio.testing

from controlplane.services.passwords import Passwords
from protocol.faults import Overloaded, ValidationError


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(time_cost=1, memory_kib=64)


async def test_a_password_fits_its_hash_only(passwords):
    hashed = await passwords.hash("correct horse battery")
    assert hashed.startswith("$argon2id$")
    assert await passwords.verify(hashed, "correct horse battery")
    assert not await passwords.verify(hashed, "correct horse batterx")
    assert not await passwords.verify(None, "nobody has this password")
    assert not await passwords.verify("no hash at all", "x")
    assert await passwords.hash("correct horse battery") != hashed


async def test_the_same_letters_typed_otherwise_fit(passwords):
    hashed = await passwords.hash("Mu\u0308ller und Söhne")
    assert await passwords.verify(hashed, "Müller und Söhne")


def test_the_cost_is_that_of_rfc_9106():
    hasher = Passwords()._hasher
    assert (hasher.time_cost, hasher.memory_cost, hasher.parallelism) == (3, 65_536, 4)


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "ninechars",
        "qwertyuiop",
        "Password123",
        "1111111111",
        "1212121212",
        "abcdefghijkl",
        "zyxwvutsrq",
        "maria@acme.com",
        "maria weber",
        "MariaWeber2026!",
        "x" * 513,
    ],
)
def test_what_is_guessed_first_is_refused(passwords, password):
    with pytest.raises(ValidationError) as refused:
        passwords.demand_good(password, personal=("maria@acme.com", "Maria Weber", "Acme"))
    assert [problem.field for problem in refused.value.details] == ["password"]


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "ein ganzer Satz mit 64 Zeichen und noch vielen mehr " * 2,
        "漢字かな交じり文のパスワード",
    ],
)
def test_what_only_the_person_knows_is_allowed(passwords, password):
    passwords.demand_good(password, personal=("maria@acme.com", "Maria Weber", ""))


async def test_few_hash_at_a_time_and_few_wait(passwords):
    passwords = Passwords(threads=2, max_waiting=3, time_cost=1, memory_kib=64)
    release, running, most = threading.Event(), [], []
    begun = threading.Semaphore(0)

    def slow(password_hash, password):
        running.append(1)
        most.append(len(running))
        begun.release()
        release.wait(60)
        running.pop()
        return True

    passwords._verify = slow
    refused = []

    async def check():
        try:
            await passwords.verify("hash", "password")
        except Overloaded as fault:
            refused.append(fault.retry_after_seconds)

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(check)
        await trio.testing.wait_all_tasks_blocked()
        assert len(refused) == 3
        for _ in range(2):
            assert await trio.to_thread.run_sync(begun.acquire, True, 60)
        release.set()
    assert max(most) == 2
