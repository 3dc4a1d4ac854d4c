"""Passwords: hashed with argon2id in few threads at a time, and refused where everybody would guess them."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Callable, Iterable
from functools import partial
from importlib import resources
from typing import Final, TypeVar

import msgspec
import trio
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from protocol.faults import Overloaded, ValidationError

T = TypeVar("T")

MIN_LENGTH: Final = 10
MAX_LENGTH: Final = 512
_FEWEST_LETTERS: Final = 4
_SHORTEST_NAME: Final = 4
#: What people put around a name to make a password of it.
_TRIMMINGS: Final = "0123456789!?.,-_#$*+ "


class Passwords:
    """Hashes and checks passwords.

    The cost is the second choice of RFC 9106 section 4: 64 MiB and three passes.

    Args:
        threads: how many hash at a time; each takes `memory_kib` and a core.
        max_waiting: how many may wait for a thread before further ones are refused.
        time_cost, memory_kib: passes and memory of argon2id; lower ones are for tests.
    """

    def __init__(
        self, *, threads: int = 2, max_waiting: int = 100, time_cost: int = 3, memory_kib: int = 65_536
    ) -> None:
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=4)
        self._limiter = trio.CapacityLimiter(threads)
        self._max_waiting = max_waiting
        # What unknown accounts are checked against, so that they take as long as known ones.
        self._nobodys = self._hasher.hash("nobody has this password")
        listed = resources.files("controlplane.services").joinpath("common_passwords.json").read_bytes()
        self._common = frozenset(msgspec.json.decode(listed, type=list[str]))

    async def hash(self, password: str) -> str:
        """The argon2id hash of a password, with its salt and costs (PHC string format).

        Raises:
            Overloaded: too many wait already.
        """
        return await self._in_thread(partial(self._hasher.hash, _normal(password)))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is the one hashed; no hash (nobody's account) takes as long to say no.

        Raises:
            Overloaded: too many wait already.
        """
        right = await self._in_thread(partial(self._verify, password_hash or self._nobodys, password))
        return right and password_hash is not None

    def demand_good(self, password: str, *, field: str = "password", personal: Iterable[str] = ()) -> None:
        """Refuse what others would guess: too short, much used, a row of keys, the person's own name.

        Args:
            field: the request's field the refusal names.
            personal: the account's address, name and company.

        Raises:
            ValidationError: the password will not do.
        """
        problem = self._problem(_normal(password), personal)
        if problem:
            raise ValidationError.of(field, problem)

    def _problem(self, password: str, personal: Iterable[str]) -> str | None:
        folded = password.casefold()
        if len(password) < MIN_LENGTH:
            return f"must have at least {MIN_LENGTH} characters"
        if len(password) > MAX_LENGTH:
            return f"must have at most {MAX_LENGTH} characters"
        if folded in self._common:
            return "is one of the passwords that are guessed first"
        steps = {ord(right) - ord(left) for left, right in itertools.pairwise(folded)}
        if len(set(folded)) < _FEWEST_LETTERS or len(steps) == 1:
            return "must not be one character or a row of characters"
        names = _names(personal)
        if folded in names or folded.strip(_TRIMMINGS) in names:
            return "must not be your name or address"
        return None

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, _normal(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._limiter.statistics().tasks_waiting >= self._max_waiting:
            raise Overloaded("too many sign-ins at once; nothing was changed", retry_after_seconds=2)
        # An abandoned hash keeps its thread until it is done, and its place in the limiter with it.
        return await trio.to_thread.run_sync(work, limiter=self._limiter, abandon_on_cancel=True)


def _normal(password: str) -> str:
    """One form of what may be typed in several (NIST SP 800-63B section 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def _names(personal: Iterable[str]) -> set[str]:
    found = set()
    for text in personal:
        folded = text.casefold().strip()
        found |= {folded, folded.partition("@")[0], folded.replace(" ", "")}
    return {name for name in found if len(name) >= _SHORTEST_NAME}
