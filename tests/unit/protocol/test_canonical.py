"""Canonical JSON and the two hashes on it."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest

from protocol.canonical import NotCanonical, args_hash, canonical, config_hash
from protocol.objects import TenantConfig
from protocol.words import CommandClass


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
        (1.0, "1"),
        (1e-07, "1e-7"),
        (1e21, "1e+21"),
        (333333333.33333329, "333333333.3333333"),  # RFC 8785 section 3.2.2
        ('€$\u000f\nA\'B"\\"/', '"€$\\u000f\\nA\'B\\"\\\\\\"/"'),
        ({"\U0001f600": 1, "\ufb33": 2}, '{"\U0001f600":1,"\ufb33":2}'),  # keys sort by UTF-16
    ],
)
def test_the_form_is_rfc_8785(value: Any, text: str):
    assert canonical(value) == text.encode()


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [2**53, float("inf"), float("nan"), nested(100_000), {1: 2}, "\ud800"])
def test_what_has_no_form_is_refused(value: Any):
    with pytest.raises(NotCanonical):
        canonical(value)


def test_a_hash_is_of_tool_and_arguments():
    text = b'{"args":{"path":"/tmp/x","recursive":true},"tool":"file_delete"}'
    digest = hashlib.sha256(text).hexdigest()
    assert args_hash("file_delete", {"recursive": True, "path": "/tmp/x"}) == digest
    assert args_hash("file_read", {"recursive": True, "path": "/tmp/x"}) != digest


def test_a_configuration_s_hash_leaves_itself_out_and_survives_the_wire():
    config = TenantConfig(
        config_version=3, agents=[], tool_table={"exec": CommandClass.RED}, model_routing={}, heartbeat_seconds=30
    )
    digest = config_hash(config)
    config.config_hash = digest
    assert config_hash(config) == digest
    again = msgspec.json.decode(msgspec.json.encode(config), type=TenantConfig)
    assert config_hash(again) == digest
    again.heartbeat_seconds = 31
    assert config_hash(again) != digest
