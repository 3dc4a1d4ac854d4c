"""From bytes to typed values at the border, naming every bad field."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final, Generic, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec

from controlplane.api.problems import Inspector, Problems, under
from protocol.faults import FieldProblem, ValidationError

T = TypeVar("T")

_MOST_PARAMETERS: Final = 200
_DEEPEST: Final = 100
_decode_anything: Final = msgspec.json.Decoder().decode


class JsonReader(Generic[T]):
    """Reads JSON bodies of one type.

    Args:
        wanted: the type.
        forgive_unknown: unknown and repeated names are let pass (of a repeated one the last counts).
    """

    def __init__(self, wanted: Any, *, forgive_unknown: bool) -> None:
        self._decode = msgspec.json.Decoder(wanted).decode
        self._inspector = Inspector(wanted, forgive_unknown=forgive_unknown, strict=True)
        self._forgive_unknown = forgive_unknown

    def read(self, body: bytes) -> T:
        """Read a body.

        Raises:
            ValidationError: it is not JSON, or not of this type; every bad field is named.
        """
        if not body.strip():
            raise ValidationError.of("body", "is required: a JSON object")
        value: T | None = None
        complaint = ""
        try:
            plain = _decode_anything(body)
            if body.count(b"[") + body.count(b"{") > _DEEPEST and _is_deeper(plain, _DEEPEST):
                raise RecursionError
            try:
                value = self._decode(body)
            except msgspec.ValidationError as error:
                complaint = str(error)
            problems = self._inspector.problems(plain)
            if b"\\u0000" in body:
                problems += nul_problems(plain)
            if not self._forgive_unknown:
                problems += repeated_names(body)
        except RecursionError:
            raise ValidationError.of("body", "is nested too deeply") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValidationError.of("body", f"is not JSON: {_plainly(error)}") from None
        if problems:
            raise ValidationError(details=problems)
        if complaint:
            raise ValidationError.of("body", complaint)
        return value  # type: ignore[return-value]


class TextReader(Generic[T]):
    """Reads queries and forms of one Struct: every value arrives as text.

    Args:
        wanted: a Struct.
        forgive_unknown: unknown names are let pass.
    """

    def __init__(self, wanted: type[msgspec.Struct], *, forgive_unknown: bool) -> None:
        self._wanted = wanted
        self._inspector = Inspector(wanted, forgive_unknown=forgive_unknown, strict=False)
        self._lists = {field.encode_name for field in msgspec.structs.fields(wanted) if _holds_list(field.type)}

    def read(self, encoded: bytes) -> T:
        """Read `application/x-www-form-urlencoded` bytes (https://url.spec.whatwg.org/#urlencoded-parsing).

        Raises:
            ValidationError: every bad parameter is named.
        """
        problems = Problems()
        values: dict[str, Any] = {}
        for name, text in read_pairs(encoded):
            if "\0" in text or "\0" in name:
                problems.add(name.replace("\0", "�"), "must not contain NUL")
            elif name in self._lists:
                values.setdefault(name, []).append(text)
            elif name in values:
                problems.add(name, "is given more than once")
            else:
                values[name] = text
        found = self._inspector.problems(values) + problems.found
        if found:
            raise ValidationError(details=found)
        try:
            return msgspec.convert(values, self._wanted, strict=False)  # type: ignore[return-value]
        except msgspec.ValidationError as error:
            raise ValidationError.of("query", str(error)) from None


def _holds_list(wanted: Any) -> bool:
    text = str(wanted)
    return "list[" in text


def read_pairs(encoded: bytes) -> list[tuple[str, str]]:
    """Names and values of a query or form.

    Raises:
        ValidationError: too many, or not UTF-8.
    """
    if not encoded:
        return []
    parts = encoded.split(b"&", _MOST_PARAMETERS)
    if len(parts) > _MOST_PARAMETERS:
        raise ValidationError(f"more than {_MOST_PARAMETERS} parameters")
    pairs = []
    for part in parts:
        if part:
            name, _, value = part.partition(b"=")
            told = name[:60].decode("ascii", "replace")
            pairs.append((_unquoted(name, told), _unquoted(value, told)))
    return pairs


def _unquoted(encoded: bytes, told: str) -> str:
    try:
        return unquote_to_bytes(encoded.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise ValidationError.of(told, "is not UTF-8") from None


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether more containers than so stand in one another: Python's own limit differs between its versions."""
    level = [value]
    for _ in range(levels):
        level = [
            item
            for one in level
            for item in (one.values() if isinstance(one, dict) else one)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True


def nul_problems(value: Any) -> list[FieldProblem]:
    """Every text that holds NUL, which no PostgreSQL text can."""
    problems = Problems()
    _look_for_nul(value, "", problems)
    return problems.found


def _look_for_nul(value: Any, path: str, problems: Problems) -> None:
    if isinstance(value, str):
        if "\0" in value:
            problems.add(path, "must not contain NUL")
    elif isinstance(value, list | dict):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in items:
            if isinstance(name, str) and "\0" in name:
                problems.add(under(path, name.replace("\0", "�")), "must not contain NUL")
            _look_for_nul(item, under(path, name), problems)


def repeated_names(body: bytes) -> list[FieldProblem]:
    """Names that one object of a JSON text holds twice: two readers would disagree on what was meant."""
    problems = Problems()

    def collect(pairs: list[tuple[str, Any]]) -> None:
        counts = Counter(name for name, _ in pairs)
        if len(counts) != len(pairs):
            for name, count in counts.items():
                if count > 1:
                    problems.add(name, "is given more than once")

    # msgspec has judged the numbers; `len` spares their conversion, which has limits of its own.
    json.loads(body, object_pairs_hook=collect, parse_int=len, parse_float=len)
    return problems.found


def _plainly(error: Exception) -> str:
    return str(error).removeprefix("JSON is malformed: ")
