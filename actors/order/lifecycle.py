"""The lifecycle of an order: which status may follow which."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from protocol.words import OrderStatus

_S = OrderStatus

#: The way from payment to a running server.
STEPS: Final = (
    _S.PAYMENT_CONFIRMED,
    _S.AWAITING_SERVER,
    _S.SERVER_READY,
    _S.DNS_PENDING,
    _S.DNS_READY,
    _S.PROVISIONING,
    _S.FULFILLED,
)

#: What may follow each status. A failed order resumes at any step; a fulfilled or cancelled one has ended.
NEXT: Final[Mapping[OrderStatus, frozenset[OrderStatus]]] = {
    **{step: frozenset({follower, _S.FAILED, _S.CANCELLED}) for step, follower in pairwise(STEPS)},
    _S.FAILED: frozenset({*STEPS[:-1], _S.CANCELLED}),
    _S.FULFILLED: frozenset({_S.CANCELLED}),
    _S.CANCELLED: frozenset(),
}


def may_follow(now: OrderStatus, then: OrderStatus) -> bool:
    """Whether an order may go from one status to another."""
    return then in NEXT[now]
