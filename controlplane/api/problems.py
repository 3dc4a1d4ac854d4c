"""Every bad field of a value, by its dotted path: msgspec stops at the first, a person wants them all."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Final, Literal, NewType, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, UnsetType

from controlplane.api.wording import worded
from protocol.faults import FieldProblem

#: What an integer column, and every other program that will read the value, can hold.
LARGEST_INTEGER: Final = 2**63 - 1
SMALLEST_INTEGER: Final = -(2**63)

MOST_PROBLEMS: Final = 100


class Problems:
    """The problems found so far; never more than a caller can read."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: list[FieldProblem] = []

    def add(self, path: str, message: str) -> None:
        if len(self.found) < MOST_PROBLEMS:
            self.found.append(FieldProblem(path or "body", message))

    @property
    def full(self) -> bool:
        return len(self.found) >= MOST_PROBLEMS


#: Looks at one value under its path. `strict=False`: the value is text that may stand for a number.
Look = Callable[[Any, str, Problems], None]


def under(path: str, name: object) -> str:
    """The path of a field inside `path`."""
    return f"{path}.{name}" if path else str(name)


class Inspector:
    """Looks through values of one type.

    Args:
        wanted: the type, a msgspec Struct as a rule.
        forgive_unknown: names the type does not have are let pass.
        strict: False for text from queries and forms, where "25" may stand for 25.
    """

    def __init__(self, wanted: Any, *, forgive_unknown: bool, strict: bool) -> None:
        self._forgive_unknown = forgive_unknown
        self._strict = strict
        self._structs: dict[type, _StructLook] = {}
        self._look = self._plan(wanted)

    def problems(self, value: Any) -> list[FieldProblem]:
        """Everything that is wrong with `value`, in the order of the type's fields."""
        problems = Problems()
        self._look(value, "", problems)
        return problems.found

    def _plan(self, wanted: Any) -> Look:
        bare, alternatives = _unwrap(wanted)
        if len(alternatives) > 1:
            return self._plan_union(wanted, alternatives)
        if bare is msgspec.Raw or bare is Any:
            return _anything
        if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
            return self._plan_struct(bare)
        origin, arguments = get_origin(bare), get_args(bare)
        if origin in (list, set, frozenset) and arguments:
            return _ListLook(self._plan(arguments[0]), _Leaf(_shell(wanted, list[Any]), self._strict))
        if origin is dict and arguments:
            keys = _Leaf(arguments[0], strict=False)
            return _DictLook(keys, self._plan(arguments[1]), _Leaf(_shell(wanted, dict[str, Any]), self._strict))
        if bare is datetime:
            return _Leaf(wanted, strict=True, bounded=True)  # never a number of seconds, also not from text
        if bare in (int, float):
            return _Leaf(wanted, self._strict, bounded=True)
        return _Leaf(wanted, self._strict)

    def _plan_union(self, wanted: Any, alternatives: tuple[Any, ...]) -> Look:
        rest = [one for one in alternatives if one is not type(None) and one is not UnsetType]
        structs = [one for one in rest if isinstance(one, type) and issubclass(one, msgspec.Struct)]
        inner: Look
        if len(rest) == 1:
            inner = self._plan(rest[0])
        elif structs and len(structs) == len(rest):
            inner = _TaggedLook([self._plan_struct(one) for one in structs], _Leaf(wanted, self._strict))
        else:
            inner = _Leaf(wanted, self._strict)
        return _OptionalLook(inner) if type(None) in alternatives else inner

    def _plan_struct(self, struct: type[msgspec.Struct]) -> _StructLook:
        known = self._structs.get(struct)
        if known is None:
            config = struct.__struct_config__
            known = _StructLook(struct, not self._forgive_unknown or config.forbid_unknown_fields)
            self._structs[struct] = known  # before its fields: a struct may hold itself
            known.learn({field.encode_name: self._plan(field.type) for field in msgspec.structs.fields(struct)})
        return known


def _unwrap(wanted: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type without Annotated and NewType, and the alternatives of a union (itself, when it is none)."""
    while True:
        if get_origin(wanted) is Annotated:
            wanted = get_args(wanted)[0]
        elif isinstance(wanted, NewType):
            wanted = wanted.__supertype__
        else:
            break
    if get_origin(wanted) in (Union, types.UnionType):
        return wanted, get_args(wanted)
    return wanted, (wanted,)


def _shell(wanted: Any, bare: Any) -> Any:
    """`bare` with the bounds that `wanted` puts on its length."""
    if get_origin(wanted) is Annotated:
        return Annotated[(bare, *get_args(wanted)[1:])]
    return bare


def _anything(_value: Any, _path: str, _problems: Problems) -> None:
    return None


class _Leaf:
    """A value msgspec judges as a whole."""

    __slots__ = ("_bounded", "_strict", "_wanted", "_words")

    def __init__(self, wanted: Any, strict: bool, bounded: bool = False) -> None:
        self._wanted = wanted
        self._strict = strict
        self._bounded = bounded
        self._words = _choices(wanted)

    def __call__(self, value: Any, path: str, problems: Problems) -> None:
        try:
            converted = msgspec.convert(value, self._wanted, strict=self._strict)
        except msgspec.ValidationError as error:
            inner, message = worded(str(error), self._words)
            problems.add(".".join(part for part in (path, inner) if part), message)
            return
        if self._bounded:
            _check_bounds(converted, path, problems)


def _check_bounds(value: Any, path: str, problems: Problems) -> None:
    """What msgspec allows and nothing behind the border can hold."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            problems.add(path, "must be a time with its zone, as 2026-03-15T10:00:00Z")
    elif isinstance(value, float):
        if not math.isfinite(value):
            problems.add(path, "must be a finite number")
    elif not SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
        problems.add(path, f"must lie between {SMALLEST_INTEGER} and {LARGEST_INTEGER}")


def _choices(wanted: Any) -> tuple[str, ...]:
    bare, _ = _unwrap(wanted)
    if isinstance(bare, type) and issubclass(bare, Enum):
        return tuple(str(member.value) for member in bare)
    if get_origin(bare) is Literal:
        return tuple(str(value) for value in get_args(bare))
    return ()


class _OptionalLook:
    __slots__ = ("_inner",)

    def __init__(self, inner: Look) -> None:
        self._inner = inner

    def __call__(self, value: Any, path: str, problems: Problems) -> None:
        if value is not None:
            self._inner(value, path, problems)


class _ListLook:
    __slots__ = ("_item", "_whole")

    def __init__(self, item: Look, whole: Look) -> None:
        self._item = item
        self._whole = whole

    def __call__(self, value: Any, path: str, problems: Problems) -> None:
        self._whole(value, path, problems)
        if isinstance(value, list):
            for index, item in enumerate(value):
                if problems.full:
                    return
                self._item(item, under(path, index), problems)


class _DictLook:
    __slots__ = ("_key", "_value", "_whole")

    def __init__(self, key: Look, value: Look, whole: Look) -> None:
        self._key = key
        self._value = value
        self._whole = whole

    def __call__(self, value: Any, path: str, problems: Problems) -> None:
        self._whole(value, path, problems)
        if isinstance(value, dict):
            for key, item in value.items():
                if problems.full:
                    return
                place = under(path, key)
                self._key(key, place, problems)
                self._value(item, place, problems)


class _StructLook:
    __slots__ = ("_fields", "_forbids", "_required", "_tag", "tag_field", "tag_value")

    def __init__(self, struct: type[msgspec.Struct], forbids: bool) -> None:
        config = struct.__struct_config__
        self._forbids = forbids
        self.tag_field: str | None = config.tag_field
        self.tag_value: Any = config.tag
        self._required = frozenset(
            field.encode_name
            for field in msgspec.structs.fields(struct)
            if field.default is NODEFAULT and field.default_factory is NODEFAULT
        )
        self._fields: Mapping[str, Look] = {}

    def learn(self, fields: Mapping[str, Look]) -> None:
        self._fields = fields

    def __call__(self, value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, dict):
            problems.add(path, "must be an object")
            return
        for name, look in self._fields.items():
            if name in value:
                look(value[name], under(path, name), problems)
            elif name in self._required:
                problems.add(under(path, name), "is required")
        if self.tag_field is not None and value.get(self.tag_field, self.tag_value) != self.tag_value:
            problems.add(under(path, self.tag_field), f"must be {self.tag_value!r}")
        if self._forbids:
            for name in value:
                if name not in self._fields and name != self.tag_field:
                    problems.add(under(path, name), "is not a known field")


class _TaggedLook:
    """One of several structs that a tag tells apart."""

    __slots__ = ("_by_tag", "_tag_field", "_whole")

    def __init__(self, structs: list[_StructLook], whole: Look) -> None:
        self._by_tag = {struct.tag_value: struct for struct in structs}
        self._tag_field = structs[0].tag_field or "type"
        self._whole = whole

    def __call__(self, value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, dict):
            self._whole(value, path, problems)
            return
        tag = value.get(self._tag_field)
        look = self._by_tag.get(tag) if isinstance(tag, str | int) else None
        if look is not None:
            look(value, path, problems)
        elif self._tag_field not in value:
            problems.add(under(path, self._tag_field), "is required")
        else:
            problems.add(under(path, self._tag_field), f"must be one of {', '.join(map(str, self._by_tag))}")
