"""Examines what a wrapper says before it goes to the book: what can be refused without asking the database."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from protocol.canonical import NotCanonical, args_hash
from protocol.faults import FieldProblem
from protocol.tenant import ApprovalRequest, ConfigApplied, TenantMessage

#: Times outside of these come from a broken clock; those near year 1 and 9999 have no UTC form at all.
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(3000, 1, 1, tzinfo=UTC)
LARGEST_INTEGER: Final = 2**62
LARGEST_VERSION: Final = 2**31 - 1


def problem_of(message: TenantMessage) -> FieldProblem | None:
    """Why a message cannot be taken, or None.

    The hash of an approval request is computed again, so that what a person sees is exactly what may run.
    """
    problem = unfit(message)
    if problem is not None:
        return problem
    match message:
        case ApprovalRequest():
            return _problem_of_arguments(message)
        case ConfigApplied(config_version=version) if not 0 <= version <= LARGEST_VERSION:
            return FieldProblem("configVersion", f"must lie between 0 and {LARGEST_VERSION}")
    return None


def unfit(value: object, path: str = "") -> FieldProblem | None:
    """The first value within that PostgreSQL could not hold: text with a NUL, a time or number out of bounds.

    JSON kept as JSON (Raw) is text in which a NUL stands escaped, so it is let pass.
    """
    if isinstance(value, str):
        return FieldProblem(path, "must not contain NUL") if "\0" in value else None
    if isinstance(value, datetime):
        fits = EARLIEST <= value <= LATEST
        return None if fits else FieldProblem(path, f"must lie between {EARLIEST.year} and {LATEST.year}")
    if isinstance(value, int):
        return None if abs(value) <= LARGEST_INTEGER else FieldProblem(path, f"must be at most {LARGEST_INTEGER}")
    for name, inner in _parts(value):
        problem = unfit(name, path) or unfit(inner, f"{path}.{name}" if path else name)
        if problem is not None:
            return problem
    return None


def _parts(value: object) -> list[tuple[str, object]]:
    if isinstance(value, msgspec.Struct):
        return [
            (spoken, getattr(value, name))
            for name, spoken in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        ]
    if isinstance(value, list):
        return [(str(position), inner) for position, inner in enumerate(value)]
    if isinstance(value, dict):
        return list(value.items())
    return []


def _problem_of_arguments(request: ApprovalRequest) -> FieldProblem | None:
    try:
        expected = args_hash(request.tool_name, arguments_of(request.tool_args))
    except NotCanonical as error:
        return FieldProblem("toolArgs", f"has no canonical form: {error}")
    if request.args_hash != expected:
        return FieldProblem("argsHash", f"is not that of toolName and toolArgs, which is {expected}")
    return None


def arguments_of(tool_args: msgspec.Raw) -> Any:
    """A tool's arguments, decoded.

    Raises:
        NotCanonical: not JSON, or an object names a thing twice (I-JSON, RFC 7493 section 2.3): one reader would see
            the first, another run the last.
    """
    try:
        arguments = msgspec.json.decode(tool_args)
        json.loads(bytes(tool_args), object_pairs_hook=_refuse_repeated, parse_int=len, parse_float=len)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise NotCanonical(str(error)) from error
    return arguments


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        twice = next(name for position, name in enumerate(names) if name in names[:position])
        raise NotCanonical(f"the name {twice[:100]!r} is given more than once")


def impact_of(human_readable: str) -> str | None:
    """What a command touches, when the wrapper does not say: the trailing parenthesis of its sentence."""
    sentence = human_readable.rstrip()
    if not sentence.endswith(")"):
        return None
    depth = 0
    for position in range(len(sentence) - 1, -1, -1):
        if sentence[position] == ")":
            depth += 1
        elif sentence[position] == "(":
            depth -= 1
            if depth == 0:
                return sentence[position + 1 : -1].strip() or None
    return None
