"""The lifecycle of an order: which status may follow which."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from protocol.words import AutomationMode, OrderStatus

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

#: What may follow each status, but for the step at which a failed order goes on. A cancelled one has ended.
NEXT: Final[Mapping[OrderStatus, frozenset[OrderStatus]]] = {
    **{step: frozenset({follower, _S.FAILED, _S.CANCELLED}) for step, follower in pairwise(STEPS)},
    _S.FAILED: frozenset({_S.CANCELLED}),
    _S.FULFILLED: frozenset({_S.CANCELLED}),
    _S.CANCELLED: frozenset(),
}


def may_follow(now: OrderStatus, then: OrderStatus, *, failed_step: OrderStatus | None = None) -> bool:
    """Whether an order may go from one status to another.

    The database holds orders to the same way (the trigger `orders_may_move`), but for one thing that only it is told: a
    server that registers makes its order FULFILLED from any step, since it runs, whatever was still to do.

    Args:
        failed_step: where a FAILED order goes on.
    """
    return then in NEXT[now] or (now is _S.FAILED and then is failed_step)


def holds(status: OrderStatus, mode: AutomationMode, then: OrderStatus) -> bool:
    """Whether the mode keeps an order from a move: a paused one stays where it is, unless it fails or is cancelled."""
    return mode is AutomationMode.PAUSED and status is not then and then not in {_S.FAILED, _S.CANCELLED}
