"""What may be shown of a message or an error: small plain values of harmless fields, never what could be a secret."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from operator import attrgetter
from types import NoneType
from typing import Any
from uuid import UUID

HIDDEN = "•••"
LONGEST_VALUE = 80
_LONGEST_ERROR = 200
_FRAMES_SHOWN = 12
_SHORTEST_SECRET = 4
_MOST_SECRETS = 200

_PLAIN = frozenset({bool, int, float, NoneType, datetime, date, timedelta, UUID})
# Compared with the field's name in lower case without its underscores: also apiKey, private_key, toolArgs.
_HARMFUL_NAMES = (
    "payload", "args", "arguments", "param", "token", "key", "password", "passphrase", "secret", "credential", "auth",
    "cookie", "signature", "private", "pem", "body", "content", "env", "headers", "otp", "code", "data",
)  # fmt: skip
_HARMFUL_TEXT = re.compile(
    r"(?P<scheme>\b(?:bearer|basic)\s+)\S+"
    r"|(?P<user>://)[^/\s@]+(?=@)"
    r"|(?P<name>\b\w*(?:password|passwd|secret|token|api_?key|authorization)\w*[\"']?(?:\s*[=:]\s*|\s+))(?:(?:bearer|basic)\s+)?[\"']?[^\s\"',;]+"
    r"|\bhk_[0-9A-Za-z]+_[0-9A-Za-z_-]+|\b(?:sk|rk|pk|whsec)_[0-9A-Za-z_]{8,}"
    r"|-----BEGIN[^-]*PRIVATE KEY-----.*"
    r"|[A-Za-z0-9+/_=-]{40,}",
    re.IGNORECASE | re.DOTALL,
)

_Shape = tuple[Callable[[Any], Any] | None, tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message as it may be shown: its type's name, and its fields with secrets hidden and values cut."""

    type: str
    fields: dict[str, str]


class Snapshot:
    """What is remembered of a message: its type and small values, so that no payload is kept alive."""

    __slots__ = ("kind", "values")

    def __init__(self, kind: type, values: tuple[object, ...]) -> None:
        self.kind = kind
        self.values = values


@dataclass(frozen=True, slots=True)
class ErrorView:
    """An exception as it may be shown: where it came from, without values of variables.

    `frames` reads "file:line function", outermost first; `cause` is what it was raised from.
    """

    type: str
    text: str
    frames: tuple[str, ...]
    cause: ErrorView | None = None

    def in_words(self) -> dict[str, str]:
        """The traceback for a log line."""
        trace = " > ".join(self.frames)
        words = {"error": self.type, "text": self.text, "traceback": trace}
        if self.cause is not None:
            words["cause"] = " | ".join(self.cause.in_words().values())
        return words


class Redactor:
    """Takes snapshots of messages and renders them. Remembers the fields of each message type it met."""

    def __init__(self) -> None:
        self._shapes: dict[type, _Shape] = {}

    def snapshot(self, message: object) -> Snapshot:
        """Cheap enough for every message: about a microsecond, no text is built."""
        kind = type(message)
        shape = self._shapes.get(kind)
        if shape is None:
            shape = self._learn(kind)
        read = shape[0]
        if read is None:
            return Snapshot(kind, ())
        try:
            values = read(message)
        except AttributeError:  # a field that was never set
            return Snapshot(kind, ())
        if len(shape[1]) == 1:
            values = (values,)
        return Snapshot(kind, tuple([value if type(value) in _PLAIN else _small(value) for value in values]))

    def render(self, snapshot: Snapshot) -> MessageView:
        shape = self._shapes.get(snapshot.kind) or self._learn(snapshot.kind)
        fields = {name: _shown(value) for name, value in zip(shape[1], snapshot.values, strict=False)}
        fields.update(dict.fromkeys(shape[2], HIDDEN))
        return MessageView(snapshot.kind.__name__, fields)

    def view(self, message: object) -> MessageView:
        return self.render(self.snapshot(message))

    def _learn(self, kind: type) -> _Shape:
        shown: list[str] = []
        hidden: list[str] = []
        for name in _field_names(kind):
            (hidden if harmful(name) else shown).append(name)
        shape: _Shape = (attrgetter(*shown) if shown else None, tuple(shown), tuple(hidden))
        self._shapes[kind] = shape
        return shape


def harmful(field_name: str) -> bool:
    """Whether a field of this name may hold a secret or what somebody else wrote."""
    plain = field_name.replace("_", "").replace("-", "").lower()
    return any(word in plain for word in _HARMFUL_NAMES)


def scrub(text: str, longest: int = LONGEST_VALUE) -> str:
    """Hide what looks like a secret (keys, bearer tokens, passwords in URLs, long opaque runs), then cut."""
    # Searched a little beyond the cut: a secret that the cut would halve must still be recognised.
    clean = _HARMFUL_TEXT.sub(_keep_name, text[: longest * 4])
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def view_of_error(error: BaseException, *, hide: Iterable[str] = (), depth: int = 3) -> ErrorView:
    """Parameters: `hide`: texts that must not show, as those the message at hand carried."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_SHOWN:]
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an error that cannot even be printed is still to be shown
        text = ""
    for secret in hide:
        text = text.replace(secret, HIDDEN)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return ErrorView(
        type(error).__name__,
        scrub(text, _LONGEST_ERROR),
        tuple(f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames),
        view_of_error(cause, hide=hide, depth=depth - 1) if cause is not None and depth > 1 else None,
    )


def secrets_of(message: object) -> list[str]:
    """The texts in the harmful fields of a message, to be hidden wherever its error repeats them."""
    found: list[str] = []
    for name in _field_names(type(message)):
        if harmful(name):
            _texts_in(getattr(message, name, None), found, 4)
    # The longest first: a shorter one may be part of it.
    return sorted(found, key=len, reverse=True)


def redacted(value: object, depth: int = 3) -> object:
    """A copy of what an actor says of itself, fit to be shown: mappings by field name, the rest cut and scrubbed."""
    if type(value) in (bool, int, float, NoneType):
        return value
    if isinstance(value, Mapping) and depth:
        return {
            str(name): HIDDEN if harmful(str(name)) else redacted(inner, depth - 1)
            for name, inner in list(value.items())[:50]
        }
    if isinstance(value, list | tuple | set | frozenset) and depth:
        return [redacted(inner, depth - 1) for inner in list(value)[:50]]
    return _shown(_small(value))


def _field_names(kind: type) -> tuple[str, ...]:
    # msgspec Structs, named tuples, dataclasses: known by what they carry, so that none needs importing.
    for attribute in ("__struct_fields__", "_fields", "__dataclass_fields__"):
        names = getattr(kind, attribute, None)
        if names is not None:
            return tuple(names)
    return ()


def _texts_in(value: object, found: list[str], depth: int) -> None:
    if len(found) >= _MOST_SECRETS or depth == 0:
        return
    if isinstance(value, str | bytes):
        text = value if isinstance(value, str) else value.decode("utf-8", "replace")
        if len(text) >= _SHORTEST_SECRET:
            found.append(text)
    elif isinstance(value, Mapping):
        for inner in value.values():
            _texts_in(inner, found, depth - 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            _texts_in(inner, found, depth - 1)


def _small(value: object) -> object:
    kind = type(value)
    if kind is str:
        assert isinstance(value, str)
        return value if len(value) <= LONGEST_VALUE * 4 else value[: LONGEST_VALUE * 4]
    if kind in _PLAIN or isinstance(value, Enum):
        return value
    # Anything made of parts could hold a secret in one of them: only its type is told.
    return kind


def _shown(value: object) -> str:
    if isinstance(value, type):
        return f"<{value.__name__}>"
    if isinstance(value, Enum):
        return scrub(str(value.value))
    return scrub(str(value))


def _keep_name(match: re.Match[str]) -> str:
    return (match["scheme"] or match["user"] or match["name"] or "") + HIDDEN
