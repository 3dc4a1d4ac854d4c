"""The fakes and the real books have the ports' methods, parameter by parameter."""

from __future__ import annotations

import inspect

import pytest

from actors.ports import OrderBook, TenantBook
from controlplane.store.order_book import PostgresOrderBook
from controlplane.store.tenant_book import PostgresTenantBook
from tests.fakes.order_book import FakeOrderBook
from tests.fakes.tenant_book import FakeTenantBook


def methods_of(port: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(method)
        for name, method in vars(port).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }


@pytest.mark.parametrize(
    ("port", "made"),
    [
        (TenantBook, FakeTenantBook),
        (TenantBook, PostgresTenantBook),
        (OrderBook, FakeOrderBook),
        (OrderBook, PostgresOrderBook),
    ],
)
def test_a_book_has_the_ports_methods(port: type, made: type) -> None:
    wanted = methods_of(port)
    assert wanted, "the port has methods"
    for name, signature in wanted.items():
        method = getattr(made, name)
        assert inspect.signature(method) == signature, name
        assert inspect.iscoroutinefunction(method) == inspect.iscoroutinefunction(getattr(port, name)), name
