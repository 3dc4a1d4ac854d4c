"""Conversion at the border: every bad field named, whatever is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Meta, UnsetType

from controlplane.api.convert import JsonReader, TextReader
from controlplane.api.problems import MOST_PROBLEMS
from protocol.faults import ValidationError
from protocol.words import Role


class Agent(msgspec.Struct, rename="camel"):
    status: str
    last_active_at: datetime | None = None
    role: Role = Role.OWNER


class Circle(msgspec.Struct, tag="circle"):
    radius: float


class Square(msgspec.Struct, tag="square"):
    side: float


class Tree(msgspec.Struct):
    leaf: int = 0
    branches: list[Tree] = []


class Report(msgspec.Struct, rename="camel"):
    report_name: Annotated[str, Meta(min_length=1)]
    agents: dict[str, Agent] = {}
    buckets: Annotated[list[Agent], Meta(max_length=3)] = []
    shape: Circle | Square | None = None
    level: Literal[1, 2, 3] = 1
    count: int = 0
    ratio: float = 0
    note: str | UnsetType | None = UNSET
    title: str | UnsetType = UNSET
    tree: Tree | None = None
    arguments: msgspec.Raw | UnsetType = UNSET
    anything: Any = None


def problems(body: bytes | object, wanted: Any = Report, *, forgive: bool = False) -> dict[str, str]:
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    with pytest.raises(ValidationError) as caught:
        JsonReader(wanted, forgive_unknown=forgive).read(data)
    return {problem.field: problem.message for problem in caught.value.details}


def read(body: bytes, *, forgive: bool = False) -> Report:
    return JsonReader[Report](Report, forgive_unknown=forgive).read(body)


def test_every_bad_field_is_named_with_its_path() -> None:
    found = problems(
        {
            "agents": {"dispatcher": {"status": 7}, "writer": {}},
            "buckets": [{"status": "up"}, {"status": "up", "role": "KING", "lastActiveAt": "noon"}],
            "level": 9,
            "count": "many",
            "surprise": 1,
        }
    )
    assert found == {
        "reportName": "is required",
        "agents.dispatcher.status": "must be text, not a whole number",
        "agents.writer.status": "is required",
        "buckets.1.role": "must be one of OWNER, ADMIN, MANAGER, SUPPORT",
        "buckets.1.lastActiveAt": "must be a time as in RFC 3339, as 2026-03-15T10:00:00Z",
        "level": "must be one of 1, 2, 3",
        "count": "must be a whole number, not text",
        "surprise": "is not a known field",
    }


def test_the_message_tells_of_the_first_three() -> None:
    with pytest.raises(ValidationError, match=r"reportName: is required; count: must be a whole number, not text$"):
        read(b'{"count": "x"}')


def test_a_good_body_becomes_the_struct() -> None:
    report = read(b'{"reportName": "r", "note": null, "arguments": {"b": 1.0,  "a": []}, "count": 3}')
    assert (report.report_name, report.note, report.title, report.count) == ("r", None, UNSET, 3)
    assert bytes(report.arguments) == b'{"b": 1.0,  "a": []}'


def test_null_is_refused_where_only_absence_is_allowed() -> None:
    assert problems({"reportName": "r", "title": None}) == {"title": "must be text, not null"}


def test_unknown_fields_are_forgiven_where_the_router_says_so() -> None:
    report = read(b'{"reportName": "r", "later": {"x": 1}, "buckets": [{"status": "up", "newer": 1}]}', forgive=True)
    assert report.buckets[0].status == "up"
    assert problems({"buckets": [{"newer": 1}]}, forgive=True) == {
        "reportName": "is required",
        "buckets.0.status": "is required",
    }


def test_a_tagged_union_is_looked_into_by_its_tag() -> None:
    assert problems({"reportName": "r", "shape": {"type": "circle", "radius": "x", "side": 1}}) == {
        "shape.radius": "must be a number, not text",
        "shape.side": "is not a known field",
    }
    assert list(problems({"reportName": "r", "shape": {"type": "blob"}})) == ["shape.type"]
    assert list(problems({"reportName": "r", "shape": {}})) == ["shape.type"]
    assert list(problems({"reportName": "r", "shape": 4})) == ["shape"]


def test_a_type_that_holds_itself_is_looked_through() -> None:
    tree = {"leaf": 1, "branches": [{"branches": [{"leaf": "x"}]}]}
    assert problems({"reportName": "r", "tree": tree}) == {
        "tree.branches.0.branches.0.leaf": "must be a whole number, not text"
    }


def test_lengths_of_lists_are_kept() -> None:
    many = [{"status": "up"}] * 4
    assert problems({"reportName": "r", "buckets": many}) == {"buckets": "must have at most 3 items"}


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        (b"", "body", "is required"),
        (b"  \n", "body", "is required"),
        (b"{", "body", "is not JSON"),
        (b"{} {}", "body", "trailing"),
        (b"[]", "body", "must be an object"),
        (b"null", "body", "must be an object"),
        (b'"text"', "body", "must be an object"),
        (b'{"ratio": NaN}', "body", "is not JSON"),
        (b'{"ratio": 1e999}', "body", "out of range"),
        (b"\xff\xfe", "body", "is not JSON"),
        (b'{"reportName": "\xff"}', "body", "is not JSON"),
        (b'{"reportName": "\\ud800"}', "body", "is not JSON"),
        (b'\xef\xbb\xbf{"reportName": "r"}', "body", "is not JSON"),
        (b'{"reportName": "r", "count": 9223372036854775808}', "count", "must lie between"),
        (b'{"reportName": "r", "count": ' + b"9" * 5000 + b"}", "body", "out of range"),
        (b'{"reportName": "r", "anything": ' + b"9" * 400 + b"}", "", ""),
        (b'{"reportName": "r", "anything": ' + b"[" * 99 + b"[],0" + b"]" * 99 + b"}", "body", "nested too deeply"),
        (b'{"reportName": "r", "anything": ' + b"[" * 98 + b"[],0" + b"]" * 98 + b"}", "", ""),
        (b'{"reportName": "r", "anything": ' + b"[" * 98 + b"[0],[],0" + b"]" * 98 + b"}", "", ""),
        (b'{"reportName": "r", "anything": ' + b"[" * 5000 + b"]" * 5000 + b"}", "body", "nested too deeply"),
        (b'{"reportName": "a\\u0000b"}', "reportName", "NUL"),
        (b'{"reportName": "r", "anything": {"k": ["\\u0000"]}}', "anything.k.0", "NUL"),
        (b'{"reportName": "r", "anything": {"k\\u0000": 1}}', "anything.k\ufffd", "NUL"),
        (b'{"reportName": "r", "reportName": "s"}', "reportName", "more than once"),
        (b'{"reportName": "r", "anything": {"a": 1, "a": 2}}', "a", "more than once"),
        (b'{"reportName": "r", "shape": {"type": "circle", "radius": 1}, "agents": {"x": null}}', "agents.x", "object"),
        (b'{"reportName": "r", "buckets": [{"status": "s", "lastActiveAt": "2026-01-01T00:00:00"}]}',
         "buckets.0.lastActiveAt", "with its zone"),
    ],
)  # fmt: skip
def test_what_is_no_such_body_is_an_error_and_nothing_worse(body: bytes, field: str, words: str) -> None:
    if not field:
        assert read(body).report_name == "r"
        return
    found = problems(body)
    assert field in found
    assert words in found[field]


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert read(b'{"reportName": "a\\\\u0000"}').report_name == "a\\u0000"


def test_the_list_of_problems_ends_somewhere() -> None:
    body = {"reportName": "r", "agents": {f"a{index}": {} for index in range(10_000)}}
    assert len(problems(body)) == MOST_PROBLEMS


def test_ten_thousand_names_given_twice_are_found_quickly() -> None:
    pairs = ",".join(f'"n{index}":1,"n{index}":2' for index in range(10_000))
    found = problems(b'{"reportName":"r","anything":{%s}}' % pairs.encode())
    assert len(found) == MOST_PROBLEMS


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=15,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first draw reads Unicode's tables
@given(
    st.dictionaries(
        st.sampled_from(["reportName", "agents", "buckets", "shape", "level", "count", "ratio", "note", "tree", "x"]),
        json_values,
    )
)
def test_the_inspection_and_msgspec_agree(value: dict[str, Any]) -> None:
    """A struct comes out, or problems do; a value the inspection lets pass never fails in msgspec."""
    refused: ValidationError | None = None
    report: Report | None = None
    try:
        report = read(msgspec.json.encode(value))
    except ValidationError as error:
        refused = error
    if refused is None:
        assert report is not None
        assert report.report_name == value["reportName"]
    else:
        assert refused.details
        assert all(problem.field and problem.message for problem in refused.details)
        assert not any("Expected" in problem.message or "`" in problem.message for problem in refused.details)


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_a_refusal(body: bytes) -> None:
    with pytest.raises(ValidationError):
        JsonReader(Report, forgive_unknown=False).read(body)


class Query(msgspec.Struct, rename="camel", frozen=True):
    page_size: Annotated[int, Meta(ge=1, le=100)] = 25
    active: bool = False
    search: str | None = None
    since: Annotated[datetime, Meta(tz=True)] | None = None
    ratio: float = 0
    role: list[Role] = []
    big: int = 0


def ask(text: bytes, *, forgive: bool = False) -> Query:
    return TextReader[Query](Query, forgive_unknown=forgive).read(text)


def ask_badly(text: bytes) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        ask(text)
    return {problem.field: problem.message for problem in caught.value.details}


def test_a_query_is_text_that_stands_for_values() -> None:
    query = ask(b"pageSize=5&active=true&search=a%20b+c%C3%BC&role=OWNER&role=ADMIN&since=2026-01-01T00:00:00Z")
    assert query == Query(5, True, "a b cü", datetime(2026, 1, 1, tzinfo=UTC), 0, [Role.OWNER, Role.ADMIN])
    assert ask(b"search=") == Query(search="")
    assert ask(b"search=null").search == "null"
    assert ask(b"role=OWNER").role == [Role.OWNER]
    assert ask(b"") == ask(b"&&") == Query()
    assert ask(b"utm=1", forgive=True) == Query()


def test_every_bad_parameter_is_named() -> None:
    found = ask_badly(
        b"pageSize=0&active=maybe&since=5&ratio=nan&role=KING&what=1&big=99999999999999999999&search=a&search=b"
    )
    assert found == {
        "pageSize": "must be at least 1",
        "active": "must be true or false, not text",
        "since": "must be a time as in RFC 3339, as 2026-03-15T10:00:00Z",
        "ratio": "must be a finite number",
        "role.0": "must be one of OWNER, ADMIN, MANAGER, SUPPORT",
        "what": "is not a known field",
        "big": "must lie between -9223372036854775808 and 9223372036854775807",
        "search": "is given more than once",
    }


def test_bad_bytes_in_a_query_are_named() -> None:
    assert ask_badly(b"search=%ff") == {"search": "is not UTF-8"}
    assert ask_badly(b"search=%00") == {"search": "must not contain NUL"}
    with pytest.raises(ValidationError, match="more than 200 parameters"):
        ask(b"&".join(b"a%d=1" % index for index in range(201)))
