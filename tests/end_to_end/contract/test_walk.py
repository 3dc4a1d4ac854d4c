"""Every endpoint that is due was called with success at a real Hub, or at a real wrapper."""

from __future__ import annotations

import pytest

from tests.contract.endpoints import Row, due
from tests.contract.examples import Example, examples, lacks
from tests.end_to_end.contract.walk import Walk


def test_no_step_failed(walked: Walk) -> None:
    told = "\n\n".join(f"{step}:\n{failure}" for step, failure in walked.failures.items())
    assert not walked.failures, told


@pytest.mark.parametrize("row", due(), ids=lambda row: row.key)
def test_a_due_endpoint_was_called_with_success(walked: Walk, row: Row) -> None:
    assert row.key in walked.answers, f"no step of the walk calls {row.key} with success"
    answer = walked.answers[row.key]
    assert answer.is_success
    assert answer.headers["content-type"].startswith("application/json")
    # next-auth's routes speak as next-auth does, and a wrapper's health has no envelope.
    if "nextauth" not in row.path and row.path != "/health":
        assert answer.json()["success"] is True


answered = [one for one in examples().values() if one.part in ("answer", "data", "item", "refusal")]


@pytest.mark.parametrize("wanted", answered, ids=lambda one: one.name)
def test_an_answer_has_what_the_specifications_example_has(walked: Walk, wanted: Example) -> None:
    refused = wanted.part == "refusal" or wanted.name == "3.1_pending_sign_in"
    answers = walked.refusals if refused else walked.answers
    assert wanted.endpoint in answers, f"the walk has no answer of {wanted.endpoint}"
    shown = answers[wanted.endpoint].json()
    if wanted.part in ("data", "item"):
        shown = shown["data"]
    if wanted.part == "item":
        assert shown, "an empty list shows nothing"
        shown = shown[0]
    assert lacks(wanted.value, shown) == []


def test_every_example_of_a_request_is_sent() -> None:
    """By name: those of requests are what the steps send, so that the Hub's success is their test."""
    sent = {
        "3.1_second_factor",
        "3.3_registration",
        "4.9_decision",
        "4.10_usage_bucket",
        "6_heartbeat",
        "8.2_config_updated",
        "8.2_approval_response",
        "8.2_command",
    }
    assert {one.name for one in examples().values() if one.part == "request"} == sent


def test_the_comparison_sees_what_is_missing() -> None:
    wanted = {"id": "cust_abc123", "at": "2026-03-15T10:00:00Z", "of": [{"n": 1}], "on": True}
    assert lacks(wanted, {"id": "cust_x", "at": "2027-01-01T00:00:00Z", "of": [{"n": 2, "m": 3}], "on": False}) == []
    bad = {"id": "ord_x", "at": "soon", "of": [{"n": "2"}, {}], "on": 1}
    assert len(lacks(wanted, bad)) == 5
    assert lacks(wanted, {}) != []
    assert lacks({"of": [1]}, {"of": []}) == ["$.of is empty: nothing to compare with"]
