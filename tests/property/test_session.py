"""Both ends of the promise as one state machine: a network that drops, doubles and reorders, ends that crash.

What is durable is only what the model says is: the Hub's book and the wrapper's journal. Frames travel through queues
of one connection each, and go with it; but what the wrapper had sent may still arrive late, at the Hub's ghost of a
session that it has not yet seen die.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from protocol.session import HubSession, ProtocolBroken, Verdict, WrapperSession

COUNT = st.integers(1, 5)


@dataclass
class Connection:
    """One connection's two queues, and the Hub's end of it."""

    to_wrapper: list[tuple[str, object]] = field(default_factory=list)
    to_hub: list[tuple[str, object]] = field(default_factory=list)
    hub: HubSession | None = None
    welcomed: bool = False


class Promises(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        # The Hub's book.
        self.issued: list[str] = []  # "command" or "void", by seq - 1
        self.sent_as: dict[int, set[str]] = {}
        self.acknowledged = 0
        self.taken: list[str] = []
        # The wrapper's journal.
        self.mark = 0
        self.journal: list[tuple[int, str]] = []
        self.outbox: list[str] = []
        self.made = 0
        self.lost_below = 0
        # What a crash takes.
        self.wrapper = WrapperSession(last_seq=0, window=3)
        self.batch: list[tuple[int, str]] = []
        self.connection: Connection | None = None
        self.ghost: Connection | None = None

    # --- what happens ------------------------------------------------------------------------------------------------

    @rule(moves=st.lists(st.sampled_from(["hub", "wrapper", "journal", "send"]), min_size=1, max_size=12), count=COUNT)
    def life(self, moves: list[str], count: int) -> None:
        """Ordinary life, in any order: without much of it between the disasters nothing would ever be at stake."""
        for move in moves:
            connection = self.connection
            if connection is None:
                self.connect()
            elif move == "hub" and connection.to_hub:
                self.hub_reads(count=count)
            elif move == "wrapper" and connection.to_wrapper:
                self.wrapper_reads(count=count)
            elif move == "journal":
                self.wrapper_journals()
            elif move == "send" and connection.welcomed:
                self.wrapper_sends()

    @rule(what=st.sampled_from(["drop", "drop", "hub", "wrapper", "wrapper", "journal"]))
    def disaster(self, what: str) -> None:
        {
            "drop": self.drop,
            "hub": self.hub_crashes,
            "wrapper": self.wrapper_crashes,
            "journal": self.wrapper_loses_its_journal,
        }[what]()

    # --- the Hub's decisions -----------------------------------------------------------------------------------------

    @rule()
    def issue(self) -> None:
        self.issued.append("command")
        self.push()

    @rule(which=st.integers(0, 50))
    def withdraw(self, which: int) -> None:
        """What is not acknowledged may become a void: for certain before it was sent, as it may be after."""
        open_ones = len(self.issued) - self.acknowledged
        if open_ones:
            self.issued[self.acknowledged + which % open_ones] = "void"

    def push(self) -> None:
        connection = self.connection
        if connection is None or connection.hub is None:
            return
        while connection.hub.sent < len(self.issued):
            seq = connection.hub.sent + 1
            assert connection.hub.sending(seq) is Verdict.NEW
            assert connection.hub.sending(seq) is Verdict.DUPLICATE
            assert connection.hub.sending(seq + 2) is Verdict.GAP
            self.sent_as.setdefault(seq, set()).add(self.issued[seq - 1])
            connection.to_wrapper.append(("promise", (seq, self.issued[seq - 1])))

    # --- connections -------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        self.batch.clear()
        last_seq = self.wrapper.connecting()
        assert last_seq == self.mark
        self.connection = Connection(to_hub=[("hello", last_seq)])

    def drop(self) -> None:
        """The network goes: what was on its way to the wrapper is lost, the rest may come late."""
        if self.connection is not None and self.connection.hub is not None:
            self.ghost = self.connection
        self.connection = None

    @precondition(lambda self: self.ghost is not None and self.ghost.to_hub)
    @rule()
    def late_arrival(self) -> None:
        """The Hub's ghost of an older session reads on."""
        assert self.ghost is not None
        self.hub_hears(self.ghost, *self.ghost.to_hub.pop(0))

    @precondition(lambda self: self.connection is not None)
    @rule(which=st.integers(0, 50))
    def double(self, which: int) -> None:
        """A carrier repeats a frame (never a hello: a second one ends the connection)."""
        assert self.connection is not None
        for queue in (self.connection.to_wrapper, self.connection.to_hub):
            frames = [frame for frame in queue if frame[0] not in ("hello", "welcome")]
            if frames:
                queue.append(frames[which % len(frames)])

    @precondition(lambda self: self.connection is not None and len(self.connection.to_wrapper) > 1)
    @rule(which=st.integers(0, 50))
    def reorder(self, which: int) -> None:
        """Two frames to the wrapper change places, as they may between carriers."""
        assert self.connection is not None
        queue = self.connection.to_wrapper
        place = which % (len(queue) - 1)
        if queue[place][0] != "welcome":
            queue[place], queue[place + 1] = queue[place + 1], queue[place]

    # --- the Hub reads -----------------------------------------------------------------------------------------------

    def hub_reads(self, count: int) -> None:
        connection = self.connection
        assert connection is not None
        for kind, value in connection.to_hub[:count]:
            self.hub_hears(connection, kind, value)
        del connection.to_hub[:count]

    def hub_hears(self, connection: Connection, kind: str, value: object) -> None:
        if kind == "hello":
            assert isinstance(value, int)
            connection.hub = HubSession.resume(last_seq=value, acknowledged=self.acknowledged, issued=len(self.issued))
            self.acknowledged = max(self.acknowledged, connection.hub.acknowledged)
            assert self.acknowledged >= value, "a hello that knows more is an acknowledgement"
            connection.to_wrapper.append(("welcome", connection.hub.resumed_from))
            self.push()
        elif kind == "ack":
            assert connection.hub is not None
            assert isinstance(value, int)
            connection.hub.acknowledge(value)
            self.acknowledged = max(self.acknowledged, connection.hub.acknowledged)
        else:
            self.hub_takes(connection, str(value))

    def hub_takes(self, connection: Connection, message_id: str) -> None:
        assert connection.hub is not None
        if connection.hub.message(message_id) is Verdict.DUPLICATE:
            return
        assert connection.hub.message(message_id) is Verdict.DUPLICATE
        if message_id not in self.taken:  # the book's own dedupe, by its unique key
            self.taken.append(message_id)
        connection.hub.answered(message_id)
        connection.to_wrapper.append(("accepted", message_id))

    def hub_crashes(self) -> None:
        """Its sessions go with it; its book stays."""
        self.connection = self.ghost = None

    @precondition(lambda self: self.connection is not None and self.connection.hub is not None)
    @rule(beyond=st.integers(1, 5))
    def lies_are_found(self, beyond: int) -> None:
        """Neither an ack nor a hello can claim what was not sent."""
        assert self.connection is not None
        hub = self.connection.hub
        assert hub is not None
        for claim in (
            lambda: hub.acknowledge(hub.sent + beyond),
            lambda: HubSession.resume(
                last_seq=len(self.issued) + beyond, acknowledged=self.acknowledged, issued=len(self.issued)
            ),
        ):
            try:
                claim()
            except ProtocolBroken:
                continue
            raise AssertionError("a lie was believed")

    # --- the wrapper reads -------------------------------------------------------------------------------------------

    def wrapper_reads(self, count: int) -> None:
        connection = self.connection
        assert connection is not None
        frames = connection.to_wrapper[:count]
        del connection.to_wrapper[:count]
        for kind, value in frames:
            if kind == "welcome":
                assert isinstance(value, int)
                if self.wrapper.welcomed(value):
                    self.mark = value
                    self.wrapper.committed(value)
                connection.welcomed = True
            elif kind == "promise":
                assert isinstance(value, tuple)
                verdict = self.wrapper.promise(value[0])
                if verdict is Verdict.NEW:
                    self.batch.append(value)
                elif verdict is Verdict.GAP:
                    self.connection = None
                    return
            else:
                for message_id in self.wrapper.accepted([str(value)]):
                    self.outbox.remove(message_id)

    def wrapper_journals(self) -> None:
        """The batch reaches the disk, and only then may it be acked."""
        if self.batch:
            self.journal.extend(self.batch)
            self.mark = self.batch[-1][0]
            self.wrapper.committed(self.mark)
            self.batch.clear()

    def wrapper_sends(self) -> None:
        assert self.connection is not None
        seq = self.wrapper.ack_due()
        if seq is not None:
            assert seq <= self.mark, "acknowledged before it was journalled"
            self.connection.to_hub.append(("ack", seq))
            assert self.wrapper.ack_due() is None
        for message_id in self.wrapper.to_send():
            self.connection.to_hub.append(("message", message_id))

    @rule()
    def wrapper_says(self) -> None:
        self.made += 1
        self.outbox.append(f"m{self.made}")
        self.wrapper.enqueue(f"m{self.made}")

    def wrapper_crashes(self) -> None:
        self.batch.clear()
        self.connection = None
        self.wrapper = WrapperSession(last_seq=self.mark, unaccepted=self.outbox, window=3)

    def wrapper_loses_its_journal(self) -> None:
        """A new disk: all that was acknowledged is gone for good and must not be played again."""
        self.batch.clear()
        self.connection = self.ghost = None
        self.lost_below = self.acknowledged
        self.mark = 0
        self.journal = []
        self.outbox = []
        self.wrapper = WrapperSession(last_seq=0, window=3)

    # --- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def journalled_once_in_order_without_holes(self) -> None:
        numbers = [seq for seq, _ in self.journal]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
        assert not numbers or numbers[0] > self.lost_below

    @invariant()
    def nothing_withdrawn_in_time_is_acted_on(self) -> None:
        for seq, kind in self.journal:
            assert kind in self.sent_as[seq]

    @invariant()
    def acknowledged_means_durable(self) -> None:
        assert self.acknowledged <= max(self.mark, self.lost_below)

    @invariant()
    def messages_are_taken_once(self) -> None:
        assert len(self.taken) == len(set(self.taken))

    def teardown(self) -> None:
        """Left alone on a good network, everything arrives, once and in order."""
        for _ in range(4 * (len(self.issued) + self.made) + 20):
            if self.connection is None:
                self.connect()
            if self.connection is not None and self.connection.to_hub:
                self.hub_reads(count=5)
            if self.connection is not None and self.connection.to_wrapper:
                self.wrapper_reads(count=5)
            self.wrapper_journals()
            if self.connection is not None and self.connection.welcomed:
                self.wrapper_sends()
            self.journalled_once_in_order_without_holes()
            self.nothing_withdrawn_in_time_is_acted_on()
            self.messages_are_taken_once()
        assert self.mark == len(self.issued)
        assert self.acknowledged == len(self.issued)
        assert [seq for seq, _ in self.journal] == list(range(self.lost_below + 1, len(self.issued) + 1))
        assert self.outbox == []
        assert self.wrapper.owed == 0


Promises.TestCase.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)
TestPromises = Promises.TestCase
