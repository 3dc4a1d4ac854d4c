"""Which events reach whom: the table of topics, roles, and viewers that lose or gain a role."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

import pytest

from controlplane.api.watching import access_of
from controlplane.services.console_topics import (
    CUSTOMER_ACCESS,
    PRESENCE,
    REACH,
    STAFF_TOPICS,
    Access,
    allows,
    channels,
    channels_watched,
    exists,
)
from controlplane.services.console_viewers import Viewer, Viewers
from controlplane.store.events import Position
from protocol.ids import format_id
from protocol.words import Role, UserType

STORE = Path(__file__).parents[3] / "controlplane" / "store"
MARIA, STRANGER, ORDER = UUID(int=1), UUID(int=2), UUID(int=3)
OF_ORDER = f"order:{format_id('ord', ORDER)}"


class Deaf:
    """A receiver that takes everything."""

    open = True

    def send_frame(self, frame: bytes) -> bool:
        return True

    def close(self, code: int, reason: str = "") -> None:
        raise AssertionError("closed")


EMITTED = re.compile(r"""(?:events\.emit\(connection, |NewEvent\(|kind = |Agent\w*: |Comms: )f?"([a-z]+)\.""")


def test_every_kind_that_is_told_has_a_room():
    """A kind without one would be written and never told."""
    told = {match[1] for path in STORE.glob("*.py") for match in EMITTED.finditer(path.read_text(encoding="utf-8"))}
    assert told == REACH.keys() - {PRESENCE}


@pytest.mark.parametrize("room", REACH)
def test_a_customer_is_told_of_their_own_things_only(room: str):
    for owner in (MARIA, STRANGER, None):
        told = set(channels(room, ORDER, owner))
        for customer in (MARIA, STRANGER):
            heard = {
                channel
                for topic in {reach.customer for reach in REACH.values() if reach.customer}
                for channel in channels_watched(customer, CUSTOMER_ACCESS, topic)
            }
            assert bool(heard & told) == (customer == owner and REACH[room].customer is not None)
        assert not {channel for channel in told if channel[0] is None and channel[1] not in {*STAFF_TOPICS, OF_ORDER}}


def test_staff_topics_are_not_the_customers():
    for topic in ("fleet", "customers", "staff", OF_ORDER):
        assert exists(topic, UserType.STAFF)
        assert not exists(topic, UserType.CUSTOMER)
    for topic in ("agents", "activity", "servers", "account", "order:", "order:cust_1", "", "approvals "):
        assert not exists(topic, UserType.STAFF)


HIGH_ROOMS = {"usage", "staff", "settings", "key"}


def test_what_roles_may_watch():
    """By hand, so that a slip in the table shows."""
    for role in Role:
        access = access_of(role)
        assert all(allows(access, topic) for topic in ("fleet", "approvals", "orders", "customers", OF_ORDER))
        high = role in (Role.OWNER, Role.ADMIN)
        assert allows(access, "staff") == allows(access, "settings") == high
        assert access.rooms & HIGH_ROOMS == (HIGH_ROOMS if high else set())
        assert access.rooms | HIGH_ROOMS == REACH.keys() - {"account"}, "who signs in is the customer's to know"


def test_viewers_are_counted_by_room_and_leave_nothing_behind():
    viewers = Viewers()
    viewer = Viewer(Deaf(), owner=None, access=access_of(Role.OWNER))
    for _ in range(2):
        viewers.join(viewer, "fleet", Position(1, 1))
        viewers.join(viewer, OF_ORDER, Position(1, 1))
    assert viewers.any_in(PRESENCE)
    assert list(viewers.of((None, "fleet", "server"))) == [viewer]
    assert list(viewers.of((None, OF_ORDER, "approval"))) == [viewer]
    assert list(viewers.of((None, "fleet", "approval"))) == []
    viewers.leave(viewer, "fleet")
    assert viewers.any_in(PRESENCE)
    viewers.leave(viewer, OF_ORDER)
    viewers.leave(viewer, OF_ORDER)
    assert not viewers.any_in(PRESENCE)
    assert list(viewers.of((None, OF_ORDER, "approval"))) == []


def test_an_access_without_the_topic_allows_nothing():
    nothing = Access(topics=frozenset(), rooms=frozenset(REACH))
    assert not any(allows(nothing, topic) for topic in (*STAFF_TOPICS, OF_ORDER))
