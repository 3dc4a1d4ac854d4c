"""Canonical JSON (RFC 8785) and the two hashes built on it: of a tool's arguments and of a configuration."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import rfc8785

from protocol.objects import TenantConfig


class NotCanonical(ValueError):
    """The value has no RFC 8785 form: an integer beyond 2^53-1, or a number that is not finite."""


def canonical(value: Any) -> bytes:
    """The RFC 8785 form of a decoded JSON value.

    Raises:
        NotCanonical: the value has none.
    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise NotCanonical(str(error)) from error


def args_hash(tool_name: str, tool_args: Any) -> str:
    """Hex SHA-256 of the canonical `{"args": …, "tool": …}`: what a person saw is exactly what may run."""
    return hashlib.sha256(canonical({"args": tool_args, "tool": tool_name})).hexdigest()


def config_hash(config: TenantConfig) -> str:
    """Hex SHA-256 of the canonical configuration without its hash."""
    plain = msgspec.to_builtins(config)
    del plain["configHash"]
    return hashlib.sha256(canonical(plain)).hexdigest()
