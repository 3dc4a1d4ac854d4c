"""The Hub's log: structlog and the standard library's loggers as one stream of lines without secrets."""

from __future__ import annotations

import datetime
import logging
import re
import sys
import uuid
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import PurePath
from typing import Any, Final, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from controlplane.secret import MASK

_DEEPEST: Final = 6
_MOST_ITEMS: Final = 100
_LONGEST_TEXT: Final = 16_384

# Compared with a field's name without case, "-" and "_". Whole words: `code` and `key_prefix` stay visible.
_SECRET_NAMES: Final = frozenset(
    {
        "apikey", "args", "authorization", "backupcode", "backupcodes", "cookie", "cookies", "credential",
        "credentials", "masterkey", "passphrase", "passwd", "payload", "privatekey", "secret", "setcookie",
        "signature", "soulmd", "token", "toolargs", "totp",
    }
)  # fmt: skip
_SECRET_ENDINGS: Final = ("password", "secret", "token", "apikey", "privatekey", "passphrase")

# The named group of an alternative is its harmless beginning, kept so that the line tells what was there.
_SECRET_TEXT: Final = re.compile(
    r"(?P<key>\bhk_[0-9A-Za-z]+_)[0-9A-Za-z_-]+"
    r"|\bhk_[0-9A-Za-z-]+"
    r"|(?P<made>\b(?:rt|sk|rk|pk|whsec)_)(?:live_|test_)?[0-9A-Za-z_-]{16,}"
    r"|(?P<scheme>\b(?:Bearer|Basic)\s+)[^\s\"',;]+"
    r"|(?P<user>://[^\s/:@]*:)[^\s/@]+(?=@)"
    r"|(?P<cookie>\b(?:__Secure-|__Host-)?next-auth\.[a-z-]+=)[^\s;\"',]+"
    r"|(?P<name>\b[\w.-]*(?:password|passwd|secret|token|api_?key|authorization)[\"']?\s*[=:]\s*)"
    r"(?:\"[^\"]*\"|'[^']*'|[^\s\"',;&)}\]]+)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    # An opaque run as long as 240 random bits: what names of functions do not have is a digit or a capital.
    r"|(?<![\w/+-])(?-i:(?=[a-z_-]*[A-Z0-9]))[A-Za-z0-9_-]{40,}={0,2}",
    re.IGNORECASE,
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def configure(*, log_format: str, level: str, stream: TextIO | None = None) -> None:
    """Send every log line of this process, ours and our libraries', to one stream as one kind of line.

    Args:
        log_format: "console" for people, "json" for machines (one object a line).
        level: the least important level written: debug, info, warning or error.
        stream: where to; standard error when None.
    """
    stream = stream or sys.stderr
    threshold = logging.getLevelNamesMapping()[level.upper()]
    annotated: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    rendered: list[Processor] = [
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
        _renderer(log_format, stream),
    ]
    structlog.configure(
        processors=[*annotated, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*annotated, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.WARNING), force=True)
    logging.captureWarnings(capture=True)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> EventDict:
    """Take secrets out of a line, by its fields' names and by what texts look like; a structlog processor."""
    clean = {name: MASK if is_secret(name) else _clean(value, _DEEPEST) for name, value in event.items()}
    # A traceback may have lines; a message with lines would forge some.
    clean["event"] = str(clean.get("event", "")).replace("\n", "\\n")
    return clean


def is_secret(name: str) -> bool:
    """Whether a field of this name holds a secret."""
    plain = name.lower().replace("_", "").replace("-", "")
    return plain in _SECRET_NAMES or plain.endswith(_SECRET_ENDINGS)


def scrub(text: str) -> str:
    """A text with everything that looks like a secret masked, and control characters made visible."""
    if len(text) > _LONGEST_TEXT:
        # The words at both edges go too: half a secret would not be recognised.
        half = _LONGEST_TEXT // 2
        head, tail = text[:half].rpartition(" ")[0], text[-half:].partition(" ")[2]
        text = f"{head} … {len(text) - len(head) - len(tail)} characters … {tail}"
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", _SECRET_TEXT.sub(_kept, text))


def _kept(match: re.Match[str]) -> str:
    return (match[match.lastgroup] if match.lastgroup else "") + MASK


def _clean(value: object, deepest: int) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return scrub(bytes(value[:_LONGEST_TEXT]).decode(errors="replace"))
    if isinstance(value, uuid.UUID | datetime.datetime | datetime.date | PurePath):
        return str(value)
    if deepest and isinstance(value, Mapping):
        inner: Iterable[tuple[object, object]] = list(value.items())[:_MOST_ITEMS]
        return {scrub(str(name)): MASK if is_secret(str(name)) else _clean(part, deepest - 1) for name, part in inner}
    if deepest and isinstance(value, list | tuple | set | frozenset):
        return [_clean(part, deepest - 1) for part in list(value)[:_MOST_ITEMS]]
    return scrub(repr(value))


def _renderer(log_format: str, stream: TextIO) -> Processor:
    if log_format == "json":
        return _json_line
    return structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), timestamp_key="at", exception_formatter=structlog.dev.plain_traceback
    )


def _json_line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    return msgspec.json.encode(event).decode()
