"""The two ends of the promise, case by case; tests/property/test_session.py drives them together."""

from __future__ import annotations

import pytest

from protocol.session import HubSession, ProtocolBroken, Verdict, WrapperSession


class TestHubSession:
    def test_it_resumes_after_what_both_ends_know(self):
        assert HubSession.resume(last_seq=5, acknowledged=5, issued=9).resumed_from == 5

    def test_a_wrapper_that_journalled_more_than_it_could_ack_has_acknowledged_it(self):
        session = HubSession.resume(last_seq=8, acknowledged=5, issued=9)
        assert (session.resumed_from, session.acknowledged, session.sent) == (8, 8, 8)

    def test_a_wrapper_that_lost_its_journal_is_not_played_the_past(self):
        assert HubSession.resume(last_seq=0, acknowledged=5, issued=9).resumed_from == 5

    def test_a_wrapper_that_knows_promises_nobody_made_breaks_the_protocol(self):
        with pytest.raises(ProtocolBroken, match=r"lastSeq is 10, but only 9"):
            HubSession.resume(last_seq=10, acknowledged=5, issued=9)

    def test_promises_are_sent_in_order_and_once(self):
        session = HubSession.resume(last_seq=0, acknowledged=0, issued=2)
        assert session.sending(2) is Verdict.GAP
        assert session.sending(1) is Verdict.NEW
        assert session.sending(1) is Verdict.DUPLICATE
        assert session.sending(2) is Verdict.NEW
        assert session.outstanding == 2

    def test_acks_are_cumulative_and_old_ones_are_no_news(self):
        session = HubSession.resume(last_seq=0, acknowledged=0, issued=3)
        for seq in (1, 2, 3):
            session.sending(seq)
        assert session.acknowledge(2) == 2
        assert session.acknowledge(1) == 0
        assert session.acknowledge(3) == 1
        assert session.outstanding == 0

    def test_an_ack_beyond_what_was_sent_breaks_the_protocol(self):
        session = HubSession.resume(last_seq=0, acknowledged=0, issued=3)
        session.sending(1)
        with pytest.raises(ProtocolBroken, match="only 1 was sent"):
            session.acknowledge(2)
        assert session.acknowledged == 0

    def test_a_message_is_taken_to_the_book_once_at_a_time(self):
        session = HubSession.resume(last_seq=0, acknowledged=0, issued=0)
        assert session.message("m1") is Verdict.NEW
        assert session.message("m1") is Verdict.DUPLICATE
        assert session.in_hand == 1
        session.answered("m1")
        assert session.message("m1") is Verdict.NEW


class TestWrapperSession:
    def connected(self, last_seq: int = 0, **more: object) -> WrapperSession:
        session = WrapperSession(last_seq=last_seq, **more)  # type: ignore[arg-type]
        session.connecting()
        session.welcomed(last_seq)
        return session

    def test_nothing_is_acked_before_it_is_journalled(self):
        session = self.connected()
        assert session.promise(1) is Verdict.NEW
        assert session.ack_due() is None
        session.committed(1)
        assert session.ack_due() == 1
        assert session.ack_due() is None

    def test_one_ack_covers_a_batch(self):
        session = self.connected()
        assert [session.promise(seq) for seq in (1, 2, 3)] == [Verdict.NEW] * 3
        session.committed(3)
        assert session.ack_due() == 3

    def test_a_doubled_promise_is_dropped_and_acked_again(self):
        session = self.connected(last_seq=4)
        assert session.promise(4) is Verdict.DUPLICATE
        assert session.ack_due() == 4

    def test_a_hole_is_a_gap(self):
        assert self.connected(last_seq=4).promise(6) is Verdict.GAP

    def test_what_was_read_but_not_journalled_is_expected_again(self):
        session = self.connected()
        session.promise(1)
        assert session.connecting() == 0
        session.welcomed(0)
        assert session.promise(1) is Verdict.NEW

    def test_a_journal_behind_the_hub_adopts_its_mark_before_acking(self):
        session = WrapperSession(last_seq=0)
        session.connecting()
        assert session.welcomed(7)
        assert session.ack_due() is None
        session.committed(7)
        assert session.promise(7) is Verdict.DUPLICATE
        assert session.promise(8) is Verdict.NEW

    def test_messages_go_out_in_order_within_the_window_until_they_are_answered(self):
        session = self.connected(unaccepted=["a", "b", "c"], window=2)
        assert session.to_send() == ["a", "b"]
        assert session.to_send() == []
        assert session.accepted(["a", "unknown"]) == ["a"]
        session.enqueue("d")
        assert session.to_send() == ["c"]
        assert session.owed == 3

    def test_what_is_unanswered_is_sent_again_first_on_the_next_connection(self):
        session = self.connected(unaccepted=["a", "b"], window=2)
        session.to_send()
        session.enqueue("c")
        session.connecting()
        assert session.to_send() == ["a", "b"]

    def test_a_temporary_refusal_waits_for_its_retry_or_the_next_connection(self):
        session = self.connected(unaccepted=["a", "b"])
        session.to_send()
        assert session.refused("a", temporary=True)
        assert session.to_send() == []
        session.retry("a")
        session.retry("never seen")
        assert session.to_send() == ["a"]
        assert session.refused("b", temporary=True)
        session.connecting()
        assert session.to_send() == ["a", "b"]

    def test_a_permanent_refusal_is_the_end_of_a_message(self):
        session = self.connected(unaccepted=["a"])
        session.to_send()
        assert session.refused("a", temporary=False)
        assert not session.refused("a", temporary=False)
        assert session.owed == 0
