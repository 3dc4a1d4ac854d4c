"""What a declaration lacks is refused when the module is imported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from actors.people import Author
from controlplane.api.call import Call
from controlplane.api.endpoint import BadDeclaration, Endpoint
from controlplane.api.envelope import Raw, Stream
from controlplane.api.guards import Anyone, Public
from controlplane.api.router import Rate, Router
from controlplane.api.table import Table, allowed
from protocol.faults import NotFound
from protocol.ids import OrderId


class Body(msgspec.Struct):
    text: str


@dataclass
class Somebody:
    kind: str
    rate_key: str
    author: Author


def router() -> Router:
    return Router("/api/v1/x", guard=Public(), tag="X")


async def no_docstring(call: Call[Anyone]) -> int: ...


async def no_answer(call: Call[Anyone]):  # type: ignore[no-untyped-def]
    """Say nothing of the answer."""


async def no_call() -> int:
    """Take no call."""


async def untyped(call: Call[Anyone], thing) -> int:  # type: ignore[no-untyped-def]
    """Take a thing without a type."""


async def stranger(call: Call[Anyone], thing: str) -> int:
    """Take what nobody fills."""


async def another_guard(call: Call[Somebody]) -> int:
    """Want a caller the guard does not admit."""


async def raw_answer(call: Call[Anyone]) -> Raw:
    """Answer by hand."""


async def streamed(call: Call[Anyone]) -> Stream:
    """Answer piece by piece."""


async def text_query(call: Call[Anyone], query: str) -> int:
    """Take a query that is no Struct."""


async def both(call: Call[Anyone], form: Body, body: Body) -> int:
    """Demand two bodies at once."""


async def raw_text(call: Call[Anyone], raw: str) -> int:
    """Take raw text."""


async def odd_path(call: Call[Anyone], thing: float) -> int:
    """Take a broken number from a path."""


async def unknown_type(call: Call[Anyone], body: Nowhere) -> int:  # type: ignore[name-defined]  # noqa: F821
    """Take a type nobody imported."""


def plain(call: Call[Anyone]) -> int:
    """Be no coroutine."""
    return 1


@pytest.mark.parametrize(
    ("handler", "path", "words"),
    [
        (no_docstring, "", "has no docstring"),
        (no_answer, "", "does not say what it answers"),
        (no_call, "", "first parameter must be `call`"),
        (untyped, "/{thing}", "thing without a type"),
        (stranger, "", "thing is not in the path"),
        (another_guard, "", "wants Somebody, its guard admits Anyone"),
        (raw_answer, "", "envelope=False"),
        (streamed, "", "envelope=False"),
        (text_query, "", "`query` must be a Struct"),
        (both, "", "must both allow None"),
        (raw_text, "", "`raw` is bytes"),
        (odd_path, "/{thing}", "must be text, a whole number or an id"),
        (unknown_type, "", "is not imported"),
        (plain, "", "must be an async function"),
        (stranger, "/{thing}/{thing}", "is no path"),
        (stranger, "/x{thing}", "is no path"),
        (stranger, "/{thing}/{other}", "the path names other"),
    ],
)
def test_an_incomplete_declaration_refuses(handler: Callable[..., Any], path: str, words: str) -> None:
    with pytest.raises(BadDeclaration, match=words) as caught:
        router().get(path)(handler)
    assert handler.__name__ in str(caught.value) or path


def test_a_stream_and_nothing_else_names_its_media_types() -> None:
    for handler, more in ((streamed, {}), (raw_answer, {"media_types": ("text/csv",)})):
        with pytest.raises(BadDeclaration, match="media_types"):
            router().get("", envelope=False, **more)(handler)


def declared(routes: Router, method: str, path: str, **more: Any) -> Endpoint:
    async def handler(call: Call[Anyone]) -> int:
        """Answer."""
        return 1

    routes.route(method, path, **more)(handler)
    return routes.endpoints[-1]


def test_the_same_method_and_path_twice_refuses() -> None:
    routes = router()
    declared(routes, "GET", "/a")
    declared(routes, "POST", "/a")
    with pytest.raises(BadDeclaration, match="declared twice"):
        declared(routes, "GET", "/a")
    other = router()
    declared(other, "GET", "/a")
    with pytest.raises(BadDeclaration, match="declared twice"):
        Table([*routes.endpoints, *other.endpoints])


def test_a_method_may_differ_from_its_router() -> None:
    routes = Router("/api", guard=Public(), tag="X", rate=Rate.TENANT, forgive_unknown=True, body_limit_bytes=5)
    first = declared(routes, "GET", "/a")
    second = declared(routes, "POST", "/a", rate=Rate.NONE, forgive_unknown=False, body_limit_bytes=9, status=201)
    guarded = declared(router(), "GET", "/b")
    assert (first.rate, first.forgive_unknown, first.body_limit_bytes, first.status) == ("tenant", True, 5, 200)
    assert (second.rate, second.forgive_unknown, second.body_limit_bytes, second.status) == (None, False, 9, 201)
    assert guarded.rate == "public"


def test_the_table_finds_plain_and_named_paths() -> None:
    routes = router()

    @routes.get("/{order_id}/agents/{name}")
    async def agent(call: Call[Anyone], name: str, order_id: OrderId) -> int:
        """Read an agent."""
        return 1

    @routes.get("/{order_id}")
    async def order(call: Call[Anyone], order_id: OrderId) -> int:
        """Read an order."""
        return 1

    search = declared(routes, "GET", "/search")
    change = declared(routes, "POST", "/search")
    table = Table(routes.endpoints)
    assert table.find("/api/v1/x/search") == ({"GET": search, "HEAD": search, "POST": change}, [])
    found = table.find("/api/v1/x/ord_1/agents/it-admin")
    assert found is not None
    methods, texts = found
    assert methods["GET"].handler is agent
    assert [(one.name, text) for one, text in zip(methods["GET"].path_parameters, texts, strict=True)] == [
        ("order_id", "ord_1"),
        ("name", "it-admin"),
    ]
    for path in ("/api/v1/x/", "/api/v1/x", "/", "", "/api/v1/x/a/agents", "/api/v1/x/a/agents/", "/api/v1/x/a/b/c"):
        assert table.find(path) is None
    assert allowed(methods) == "GET, HEAD, OPTIONS"


def test_a_path_text_that_can_name_nothing_is_not_found() -> None:
    routes = router()

    @routes.get("/{order_id}/{number}/{slug}")
    async def read(
        call: Call[Anyone],
        order_id: OrderId,
        number: Annotated[int, Meta(ge=1, le=5)],
        slug: Annotated[str, Meta(pattern="^[a-z]+$")],
    ) -> int:
        """Read."""
        return 1

    order, number, slug = routes.endpoints[0].path_parameters
    good = "ord_01m84xbspcf5ha475vmhtnc6eh"
    assert (order.read(good), number.read("3"), slug.read("abc")) == (good, 3, "abc")
    for parameter, bad in [
        (order, "ord_1"),
        (order, good.replace("ord_", "cust_")),
        (order, good.upper()),
        (order, good + "\0"),
        (number, "0"),
        (number, "x"),
        (slug, "ABC"),
        (slug, "a\0"),
    ]:
        with pytest.raises(NotFound):
            parameter.read(bad)
