"""The supervision tree, as a picture.

    root
    ├── tenants              a crashed tenant is rebuilt from its book; its wrapper reconnects and resumes
    │   └── tenant/ord_…     one for each order with a live wrapper or something due; the others sleep
    └── orders
        └── order/ord_…      one for each order whose lifecycle is being changed; idle ones sleep

A tenant that crashes again and again is stopped and left alone for a while; its siblings never notice. When many
different tenants do so at once, the fault is not theirs: it is told to the operator as an escalation of the root.
"""

from __future__ import annotations

from typing import Final

from actors.order.actor import OrderActor
from actors.ports import OrderBook, TenantBook
from actors.runtime.ref import Ref
from actors.runtime.supervisor import Supervision
from actors.runtime.system import ActorSystem
from actors.tenant.actor import TenantActor
from actors.tenant.committing import IN_HAND
from protocol.ids import OrderId

TENANT: Final = "tenant"
ORDER: Final = "order"

_ONE: Final = Supervision(max_restarts=5, within_seconds=60, backoff_initial_seconds=0.1, backoff_max_seconds=5)
_ALL: Final = Supervision(max_restarts=20, within_seconds=60)


def plant(system: ActorSystem, *, tenant_book: TenantBook, order_book: OrderBook, heartbeat_seconds: int) -> None:
    """Make the kinds of actors known to the system, each under its supervisor."""
    tenants = system.supervisor("tenants", tolerance=_ALL)
    system.register(
        TENANT,
        lambda actor_id: TenantActor(
            actor_id,
            book=tenant_book,
            clock=system.clock,
            ids=system.ids,
            heartbeat_seconds=heartbeat_seconds,
        ),
        supervision=_ONE,
        # The answers to all messages in hand may come from one commit, and nothing else shall be lost with them.
        control_size=2 * IN_HAND,
        under=tenants,
        tolerance=_ALL,
    )
    orders = system.supervisor("orders", tolerance=_ALL)
    system.register(
        ORDER,
        lambda actor_id: OrderActor(actor_id, book=order_book, clock=system.clock),
        supervision=_ONE,
        under=orders,
        tolerance=_ALL,
        idle_seconds=60,
    )


def tenant_of(system: ActorSystem, order_id: OrderId) -> Ref:
    """The address of an order's tenant."""
    return system.ref(TENANT, order_id)


def order_of(system: ActorSystem, order_id: OrderId) -> Ref:
    """The address of an order."""
    return system.ref(ORDER, order_id)
