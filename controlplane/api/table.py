"""From a method and a path to an endpoint: a dictionary for plain paths, a small tree for those with names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from controlplane.api.endpoint import BadDeclaration, Endpoint


@dataclass(slots=True)
class _Node:
    literal: dict[str, _Node] = field(default_factory=dict)
    named: _Node | None = None
    methods: dict[str, Endpoint] = field(default_factory=dict)


class Table:
    """All endpoints of an app.

    A plain path wins over one with names, and a literal segment over a named one.

    Raises:
        BadDeclaration: two endpoints have the same method and path.
    """

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._plain: dict[str, dict[str, Endpoint]] = {}
        self._root = _Node()
        for endpoint in endpoints:
            named = bool(endpoint.path_parameters)
            methods = self._plant(endpoint) if named else self._plain.setdefault(endpoint.path, {})
            if endpoint.method in methods:
                raise BadDeclaration(f"{endpoint.method} {endpoint.path} is declared twice")
            methods[endpoint.method] = endpoint
            if endpoint.method == "GET":
                methods.setdefault("HEAD", endpoint)

    def _plant(self, endpoint: Endpoint) -> dict[str, Endpoint]:
        node = self._root
        for segment in endpoint.segments:
            if segment.startswith("{"):
                if node.named is None:
                    node.named = _Node()
                node = node.named
            else:
                node = node.literal.setdefault(segment, _Node())
        return node.methods

    def find(self, path: str) -> tuple[dict[str, Endpoint], list[str]] | None:
        """The endpoints of a path by method and the texts of its named segments, in order; None: no such path."""
        plain = self._plain.get(path)
        if plain is not None:
            return plain, []
        node = self._root
        texts: list[str] = []
        for segment in path.split("/")[1:]:
            following = node.literal.get(segment)
            if following is None:
                following = node.named
                if following is None or not segment:
                    return None
                texts.append(segment)
            node = following
        return (node.methods, texts) if node.methods else None


def allowed(methods: dict[str, Endpoint]) -> str:
    """The Allow header of a path (RFC 9110 section 10.2.1)."""
    return ", ".join(sorted({*methods, "OPTIONS"}))
