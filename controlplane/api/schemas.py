"""JSON Schemas of all types an API speaks, as the components of an OpenAPI document."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Final, NewType, Union, get_args, get_origin

import msgspec

from controlplane.api.problems import LARGEST_INTEGER, SMALLEST_INTEGER
from protocol.ids import PREFIXES

Schema = dict[str, Any]

_REFERENCE: Final = "#/components/schemas/{name}"
_PREFIX: Final = "#/components/schemas/"


class Schemas:
    """The schemas of a set of types.

    Args:
        requested: types of bodies, forms and queries whose unknown fields are refused.
        forgiven: the same, where unknown fields are let pass.
        answered: types of answers.
    """

    def __init__(self, *, requested: Iterable[Any], forgiven: Iterable[Any], answered: Iterable[Any]) -> None:
        strict = list(requested)
        loose = list(forgiven)
        wanted = [*strict, *loose, *answered]
        schemas, components = msgspec.json.schema_components(wanted, ref_template=_REFERENCE)
        self._of: list[tuple[Any, Schema]] = list(zip(wanted, schemas, strict=True))
        self.components: dict[str, Schema] = {name: _tidy(schema) for name, schema in components.items()}
        for name in self._reached(schemas[: len(strict)]):
            component = self.components[name]
            if "properties" in component:
                component["additionalProperties"] = False
            _bound_integers(component)
        for struct in _structs(wanted):
            for name in (struct.__name__, f"{struct.__module__}.{struct.__qualname__}"):
                _refine(self.components.get(name, {}).get("properties", {}), struct)

    def of(self, wanted: Any) -> Schema:
        """The schema of one of the given types; a reference where it is a component."""
        for known, schema in self._of:
            if known is wanted or known == wanted:
                return schema
        raise KeyError(wanted)

    def resolve(self, schema: Schema) -> Schema:
        """The schema itself, where it may be a reference."""
        reference = schema.get("$ref")
        return schema if reference is None else self.components[reference.removeprefix(_PREFIX)]

    def _reached(self, schemas: Iterable[Schema]) -> set[str]:
        reached: set[str] = set()
        waiting = [name for schema in schemas for name in _names(schema)]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += _names(self.components[name])
        return reached


def _names(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        found = [schema["$ref"].removeprefix(_PREFIX)] if isinstance(schema.get("$ref"), str) else []
        return found + [name for part in schema.values() for name in _names(part)]
    if isinstance(schema, list):
        return [name for part in schema for name in _names(part)]
    return []


def _tidy(schema: Schema) -> Schema:
    """Docstrings come with their source's line breaks."""
    if isinstance(schema.get("description"), str):
        schema["description"] = re.sub(r"\s+", " ", schema["description"]).strip()
    return schema


def _bound_integers(schema: Any) -> None:
    """Say what conversion demands: whole numbers fit 64 bits."""
    if isinstance(schema, dict):
        if schema.get("type") == "integer" and "enum" not in schema:
            schema["format"] = "int64"
            if not schema.keys() & {"minimum", "exclusiveMinimum"}:
                schema["minimum"] = SMALLEST_INTEGER
            if not schema.keys() & {"maximum", "exclusiveMaximum"}:
                schema["maximum"] = LARGEST_INTEGER
        for part in schema.values():
            _bound_integers(part)
    elif isinstance(schema, list):
        for part in schema:
            _bound_integers(part)


def _structs(wanted: Iterable[Any]) -> list[type[msgspec.Struct]]:
    found: list[type[msgspec.Struct]] = []
    waiting = list(msgspec.inspect.multi_type_info(list(wanted)))
    while waiting:
        info = waiting.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in found:
                continue
            found.append(info.cls)
            waiting += [field.type for field in info.fields]
        for name in ("item_type", "value_type", "key_type", "type"):
            inner = getattr(info, name, None)
            if isinstance(inner, msgspec.inspect.Type):
                waiting.append(inner)
        waiting += [one for one in getattr(info, "types", ()) if isinstance(one, msgspec.inspect.Type)]
    return found


def _refine(properties: Schema, struct: type[msgspec.Struct]) -> None:
    """Add what msgspec leaves out: the form of ids, and that a time is a time."""
    for field in msgspec.structs.fields(struct):
        schema = properties.get(field.encode_name)
        if schema is None:
            continue
        for one in alternatives(field.type):
            more = text_form(one)
            for target in schema.get("anyOf", [schema]) if more else ():
                if target.get("type") == "string":
                    target.update(more)


def alternatives(wanted: Any) -> tuple[Any, ...]:
    """The members of a union, without Annotated; the type itself when it is none."""
    while get_origin(wanted) is Annotated:
        wanted = get_args(wanted)[0]
    if get_origin(wanted) in (Union, types.UnionType):
        return tuple(inner for one in get_args(wanted) for inner in alternatives(one))
    return (wanted,)


def text_form(wanted: Any) -> Schema:
    """What a schema can say of an id type or a time beyond that it is text."""
    if isinstance(wanted, NewType):
        prefix = PREFIXES.get(wanted.__name__)
        return {} if prefix is None else {"pattern": f"^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$"}
    return {"format": "date-time"} if wanted is datetime else {}
