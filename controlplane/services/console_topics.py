"""Which event is told on which topic, and to whom: the one table of the consoles' topics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from controlplane.store.events import StoredEvent
from protocol.console import ORDER_TOPIC
from protocol.ids import format_id, parse_id
from protocol.words import UserType

#: The room of what is state and no event: how servers are.
PRESENCE: Final = "presence"


class Reach(NamedTuple):
    """Where events of a room are told.

    Args:
        staff: the staff's topic, besides that of the order where there is one.
        customer: their owner's topic.
    """

    staff: str | None
    customer: str | None


#: By room: the first part of an event's kind.
REACH: Final[Mapping[str, Reach]] = {
    "approval": Reach("approvals", "approvals"),
    "command": Reach("fleet", None),
    "agent": Reach(None, "agents"),
    "config": Reach("fleet", "agents"),
    "server": Reach("fleet", "servers"),
    "order": Reach("orders", "orders"),
    "customer": Reach("customers", None),
    "usage": Reach(None, "activity"),
    "backup": Reach("fleet", "activity"),
    "activity": Reach(None, "activity"),
    "image": Reach("fleet", None),
    "staff": Reach("staff", None),
    "settings": Reach("settings", None),
    "key": Reach("settings", None),
    "account": Reach(None, "account"),
    PRESENCE: Reach("fleet", "servers"),
}

STAFF_TOPICS: Final = frozenset(reach.staff for reach in REACH.values() if reach.staff is not None)
CUSTOMER_TOPICS: Final = frozenset(reach.customer for reach in REACH.values() if reach.customer is not None)

#: Whose it is (None: told to staff), topic and room.
Channel = tuple[UUID | None, str, str]


@dataclass(frozen=True, slots=True)
class Access:
    """What a caller may watch.

    Args:
        topics: the topics; `order:` stands for every order's.
        rooms: what of them is told; the rest is left out in silence.
    """

    topics: frozenset[str]
    rooms: frozenset[str]


#: Customers may watch everything of theirs that has a topic.
CUSTOMER_ACCESS: Final = Access(
    topics=CUSTOMER_TOPICS, rooms=frozenset(room for room, reach in REACH.items() if reach.customer is not None)
)


def exists(topic: str, audience: UserType) -> bool:
    """Whether there is such a topic for such callers."""
    if audience is UserType.CUSTOMER:
        return topic in CUSTOMER_TOPICS
    return topic in STAFF_TOPICS or order_of(topic) is not None


def order_of(topic: str) -> UUID | None:
    """The order whose topic this is."""
    if not topic.startswith(ORDER_TOPIC):
        return None
    try:
        return parse_id("ord", topic.removeprefix(ORDER_TOPIC))
    except ValueError:
        return None


def allows(access: Access, topic: str) -> bool:
    """Whether a caller may watch a topic that exists."""
    return (ORDER_TOPIC if topic.startswith(ORDER_TOPIC) else topic) in access.topics


def channels_watched(owner: UUID | None, access: Access, topic: str) -> Iterable[Channel]:
    """What a caller listens to who watches this topic."""
    for room in access.rooms:
        reach = REACH[room]
        if topic == reach.customer if owner is not None else topic == reach.staff or topic.startswith(ORDER_TOPIC):
            yield owner, topic, room


def channels_of(event: StoredEvent) -> Iterable[Channel]:
    """Where an event is told."""
    return channels(event.kind.partition(".")[0], event.order_id, event.customer_id)


def channels(room: str, order_id: UUID | None, customer_id: UUID | None) -> Iterable[Channel]:
    """Where something of a room is told."""
    reach = REACH.get(room)
    if reach is None:
        return
    if reach.staff is not None:
        yield None, reach.staff, room
    if order_id is not None:
        yield None, f"{ORDER_TOPIC}{format_id('ord', order_id)}", room
    if customer_id is not None and reach.customer is not None:
        yield customer_id, reach.customer, room
