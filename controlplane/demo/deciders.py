"""The other companies' people: each looks at what its agents ask for now and then, and decides it at a human pace."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from typing import Final

import trio

from actors.runtime.ports import SeededRandomness
from controlplane.demo.cast import Company
from controlplane.demo.client import Client, patiently
from controlplane.demo.home import Home
from controlplane.demo.seed import customer_session
from protocol.faults import Conflict, Fault, Unauthorized
from protocol.objects import CommandApproval
from protocol.words import CommandClass

PATH: Final = "/api/v1/customer/approvals"
#: Between two looks, on average.
LOOK_SECONDS: Final = 40.0
#: How long somebody thinks about one question; three times as long where it is dangerous.
THINK_SECONDS: Final = (15.0, 120.0)
DENIED_SHARE: Final = 0.25
_RISKY: Final = (CommandClass.RED, CommandClass.CRITICAL_RED)
_REASONS: Final = (
    "Not now, we are in the middle of the day.",
    "Too broad. Ask again with fewer.",
    "Please wait until I have read it.",
    "We do not need this any more.",
)


async def decide_for(company: Company, api: Client, home: Home) -> None:
    """Decide what a company's agents ask for, for ever."""
    dice = SeededRandomness(zlib.crc32(company.customer.who.encode()))
    customer: Client | None = None
    while True:
        await trio.sleep(LOOK_SECONDS * dice.uniform(0.4, 1.6))
        try:
            if customer is None:
                customer = api.signed_in(await patiently(lambda: customer_session(api, home, company.customer)))
            await _look(customer, dice)
        except Unauthorized:
            customer = None
        except Fault:
            continue  # a Hub that is starting or has too much to do: at the next look


async def _look(customer: Client, dice: SeededRandomness) -> None:
    """Decide what has waited long enough; the same question is thought about the same time at each look."""
    waiting = await patiently(lambda: customer.get(PATH, list[CommandApproval], pageSize=50))
    now = datetime.now(UTC)
    for approval in waiting:
        share = zlib.crc32(approval.id.encode()) % 1000 / 1000
        low, high = THINK_SECONDS
        think_seconds = (low + share * (high - low)) * (3 if approval.command_class in _RISKY else 1)
        if (now - approval.requested_at).total_seconds() >= think_seconds:
            await _decide(customer, approval, dice)
            await trio.sleep(dice.uniform(1, 4))


async def _decide(customer: Client, approval: CommandApproval, dice: SeededRandomness) -> None:
    body = {"action": "approve"}
    if dice.uniform(0, 1) < DENIED_SHARE:
        body = {"action": "deny", "reason": _REASONS[int(dice.uniform(0, len(_REASONS)))]}
    try:
        await patiently(lambda: customer.post(f"{PATH}/{approval.id}", CommandApproval, body))
    except Conflict:
        return  # staff, a visitor or time was first
