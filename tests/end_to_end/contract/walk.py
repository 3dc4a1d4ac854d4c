"""One successful call of every endpoint of the specification that is due, on a real Hub with a real wrapper beside it.

The steps are in `…_steps.py`; each takes the walk on, and says by the row's name what it did. What the Hub offers
besides the specification is in `besides_steps.py`.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.contract.endpoints import due, rows
from tests.end_to_end.hub_process import HubProcess

CRON_SECRET = "a cron secret of sixteen letters and more"
PASSWORD = "correct horse battery staple"
OWNER = "owner@letsbe.biz"
KNOWN = frozenset(row.key for row in rows())
DUE = frozenset(row.key for row in due())


@dataclass(repr=False)
class Walk:
    """What was done so far, and by whom.

    Attributes:
        answers: by the row's name, the first answer that succeeded.
        refusals: by the row's name, an answer that refused what it had to refuse.
        besides: what succeeded and is none of the specification's rows, as `GET /a/{id}`.
        failures: what went wrong, by the name of the step.
        ids: what was made, by name.
    """

    hub: HubProcess
    folder: Path
    answers: dict[str, httpx.Response] = field(default_factory=dict)
    refusals: dict[str, httpx.Response] = field(default_factory=dict)
    besides: set[str] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    callers: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    def caller(self, name: str, token: str | None = None, base: str | None = None) -> httpx.AsyncClient:
        """Somebody by name; a token makes them."""
        if name not in self.callers:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            self.callers[name] = httpx.AsyncClient(
                base_url=base or self.hub.url, headers=headers, trust_env=False, timeout=60
            )
        return self.callers[name]

    async def sign_in(self, provider: str, email: str, password: str = PASSWORD) -> httpx.Response:
        """A sign-in of a browser that has no cookies yet."""
        async with httpx.AsyncClient(base_url=self.hub.url, trust_env=False, timeout=60) as browser:
            body = {"email": email, "password": password}
            return await browser.post(f"/api/auth/callback/{provider}", json=body)

    async def did(self, row: str, method: str, path: str, by: str, **options: Any) -> Any:
        """Call, and note the success under the row's name; what the envelope holds, or the answer's object.

        A row that waits for something is not called, until the table of endpoints says that it is due.
        """
        assert row in KNOWN, f"the specification has no {row}"
        if row not in DUE:
            return None
        answer = await self.caller(by).request(method, path, **options)
        assert answer.is_success, f"{row}: {answer.status_code} {answer.text[:1000]}"
        self.answers.setdefault(row, answer)
        shown = answer.json()
        return shown.get("data", shown) if isinstance(shown, dict) else shown

    async def do(self, row: str, by: str, **options: Any) -> Any:
        """`did` for a row whose path has the names of `ids` as its parameters, given after a `|`.

        `do("GET /a/{id} | /a/{order}", …)`: the row, and the path where it differs from it.
        """
        key, _, template = (part.strip() for part in row.partition("|"))
        method, _, path = key.partition(" ")
        return await self.did(key, method, (template or path).format(**self.ids), by, **options)

    async def called(self, operation: str, by: str, **options: Any) -> httpx.Response:
        """Call an operation that may be none of the specification's, written as for `do`, and note the success."""
        key, _, template = (part.strip() for part in operation.partition("|"))
        method, _, path = key.partition(" ")
        answer = await self.caller(by).request(method, (template or path).format(**self.ids), **options)
        assert answer.is_success, f"{key}: {answer.status_code} {answer.text[:1000]}"
        self.besides.add(key)
        return answer

    async def also(self, operation: str, by: str, **options: Any) -> Any:
        """`called`, and what the envelope holds."""
        return (await self.called(operation, by, **options)).json()["data"]

    async def refused(self, row: str, by: str, **options: Any) -> httpx.Response:
        """A call that has to be refused."""
        method, _, path = row.partition(" ")
        answer = await self.caller(by).request(method, path.format(**self.ids), **options)
        assert answer.is_error, f"{row}: {answer.status_code}"
        self.refusals[row] = answer
        return answer

    async def aclose(self) -> None:
        for caller in self.callers.values():
            await caller.aclose()


Step = Callable[[Walk], Awaitable[None]]


async def take(walk: Walk, steps: list[Step]) -> None:
    """Take the steps one after the other; one that fails is noted, and the others are taken all the same."""
    for step in steps:
        try:
            await step(walk)
        except Exception:
            walk.failures[step.__name__] = traceback.format_exc(limit=4)
