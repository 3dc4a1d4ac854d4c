"""The executor file (TOML): which local program runs commands of which type, checked whole before anything starts.

```toml
[commands.RESTART_SERVICE]
program = ["/usr/bin/systemctl", "restart", "{service}"]
limit_seconds = 60
idempotent = true

[commands.RESTART_SERVICE.fields.service]
allowed = ["ghost.service", "nextcloud.service"]
```
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from protocol.faults import FieldProblem, ValidationError
from wrapper.reading import read_fields

FILE_LIMIT_BYTES: Final = 1024 * 1024
OUTPUT_LIMIT_BYTES: Final = 64 * 1024
VALUE_LIMIT_CHARACTERS: Final = 4096
#: What a program sees of the environment unless its table says more: nothing of the wrapper's own, which holds keys.
ENVIRONMENT: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
#: Set by the wrapper itself: by it a program is found again after a crash.
MARK: Final = "SAFETY_WRAPPER_COMMAND"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TYPE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,99}")

Text = Annotated[str, Meta(min_length=1, max_length=4096)]
T = TypeVar("T", bound=msgspec.Struct)


class ExecutorFileWrong(Exception):
    """The executor file cannot be used; the words name file, table and field."""


class FieldRule(msgspec.Struct):
    """What one field of a payload may be: one of `allowed`, or wholly matched by `pattern`; never both.

    Attributes:
        default: taken where the payload has no such field; without it the field is required.
    """

    pattern: Annotated[str, Meta(min_length=1, max_length=1000)] | None = None
    allowed: Annotated[list[Text], Meta(min_length=1, max_length=1000)] | None = None
    default: str | None = None


class _Table(msgspec.Struct):
    """One `[commands.TYPE]` as it is written."""

    program: Annotated[list[Text], Meta(min_length=1, max_length=200)]
    limit_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 300
    idempotent: bool = False
    payload_on_stdin: bool = False
    folder: Text = "/"
    environment: dict[str, str] = {}
    output_bytes: Annotated[int, Meta(ge=1024, le=90_000)] = OUTPUT_LIMIT_BYTES
    fields: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Rule:
    """A field's rule, ready to be applied."""

    pattern: re.Pattern[str] | None
    allowed: frozenset[str] | None
    default: str | None

    def complaint(self, value: str) -> str | None:
        """What is wrong with a value; None when it may be used."""
        if self.allowed is not None:
            return None if value in self.allowed else f"must be one of {', '.join(sorted(self.allowed))}"
        if len(value) > VALUE_LIMIT_CHARACTERS:
            return f"must be of at most {VALUE_LIMIT_CHARACTERS} characters"
        if value.startswith("-"):
            return "must not begin with -, which the program could take for an option"
        if "\x00" in value:
            return "must not hold a NUL"
        if self.pattern is not None and not self.pattern.fullmatch(value):
            return f"must match {self.pattern.pattern}"
        return None


@dataclass(frozen=True, slots=True)
class Declaration:
    """How commands of one type are run.

    Attributes:
        program: the arguments, the first an absolute path; `{field}` as a whole argument stands for a payload field.
        payload_on_stdin: the whole payload is written to the program as JSON; it may then hold undeclared fields.
        environment: all that the program sees, but for the mark.
        output_bytes: how much of the output is kept; of more, the middle is left out.
    """

    program: tuple[str, ...]
    limit_seconds: float
    idempotent: bool
    payload_on_stdin: bool
    folder: str
    environment: Mapping[str, str]
    output_bytes: int
    rules: Mapping[str, Rule]

    def arguments(self, payload: Any) -> list[str]:
        """The command line for a payload.

        Raises:
            ValidationError: naming every field of the payload that is wrong.
        """
        if not isinstance(payload, dict):
            raise ValidationError.of("payload", "must be an object")
        values: dict[str, str] = {}
        problems: list[FieldProblem] = []
        for name, rule in self.rules.items():
            value = payload.get(name, rule.default)
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)
            if value is None:
                problems.append(FieldProblem(f"payload.{name}", "is required"))
            elif not isinstance(value, str):
                problems.append(FieldProblem(f"payload.{name}", "must be text or a whole number"))
            elif (complaint := rule.complaint(value)) is not None:
                problems.append(FieldProblem(f"payload.{name}", complaint))
            else:
                values[name] = value
        if not self.payload_on_stdin:
            problems += [
                FieldProblem(f"payload.{name[:200]}", "is unknown") for name in payload if name not in self.rules
            ]
        if problems:
            raise ValidationError(details=problems)
        return [values[part[1:-1]] if _is_place(part) else part for part in self.program]


def _is_place(argument: str) -> bool:
    return argument[:1] == "{" and argument[-1:] == "}" and _NAME.fullmatch(argument[1:-1]) is not None


def read_declarations(path: Path) -> dict[str, Declaration]:
    """Read and check an executor file.

    Returns:
        Command type → how it is run.

    Raises:
        ExecutorFileWrong: it cannot be read, or any table in it is wrong.
    """
    try:
        content = path.read_bytes()
        if len(content) > FILE_LIMIT_BYTES:
            raise ExecutorFileWrong(f"{path}: is larger than {FILE_LIMIT_BYTES} bytes")
        written = tomllib.loads(content.decode())
    except OSError as error:
        raise ExecutorFileWrong(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ExecutorFileWrong(f"{path}: is not TOML: {error}") from error
    strange = [name for name in written if name != "commands"]
    tables = written.get("commands")
    if strange:
        raise ExecutorFileWrong(f"{path}: {', '.join(strange)}: is unknown; there is commands")
    if not isinstance(tables, dict) or not tables:
        raise ExecutorFileWrong(f"{path}: commands: declare at least one [commands.TYPE]")
    declarations: dict[str, Declaration] = {}
    problems: list[FieldProblem] = []
    for command_type, table in tables.items():
        try:
            declarations[command_type] = _declaration(command_type, table)
        except ValidationError as error:
            problems += error.details
    if problems:
        sentences = "; ".join(f"{problem.field}: {problem.message}" for problem in problems)
        raise ExecutorFileWrong(f"{path}: {sentences}")
    return declarations


def _declaration(command_type: str, written: Any) -> Declaration:
    where = f"commands.{command_type}."
    if not _TYPE.fullmatch(command_type):
        raise ValidationError.of(where[:-1], "a command's type is written as RUN_BACKUP")
    if command_type == "PING":
        raise ValidationError.of(where[:-1], "PING is the wrapper's own")
    table = read_fields(written, _Table, where=where)
    problems: list[FieldProblem] = []
    rules: dict[str, Rule] = {}
    for name, field in table.fields.items():
        try:
            rules[name] = _rule(name, field, where=f"{where}fields.{name}.")
        except ValidationError as error:
            problems += error.details
    problems += _program_problems(table, where)
    problems += _surroundings_problems(table, where)
    if problems:
        raise ValidationError(details=problems)
    return Declaration(
        program=tuple(table.program),
        limit_seconds=table.limit_seconds,
        idempotent=table.idempotent,
        payload_on_stdin=table.payload_on_stdin,
        folder=table.folder,
        environment={**ENVIRONMENT, **table.environment},
        output_bytes=table.output_bytes,
        rules=rules,
    )


def _rule(name: str, written: Any, *, where: str) -> Rule:
    rule = read_fields(written, FieldRule, where=where)
    if not _NAME.fullmatch(name):
        raise ValidationError.of(where[:-1], "a field's name is of letters, digits and _")
    if (rule.pattern is None) == (rule.allowed is None):
        raise ValidationError.of(where[:-1], "give either pattern or allowed")
    if rule.allowed is not None and any("\x00" in value for value in rule.allowed):
        raise ValidationError.of(f"{where}allowed", "must not hold a NUL")
    try:
        pattern = None if rule.pattern is None else re.compile(rule.pattern)
    except (re.error, RecursionError) as error:
        raise ValidationError.of(f"{where}pattern", f"is not a regular expression: {error}") from None
    ready = Rule(pattern, None if rule.allowed is None else frozenset(rule.allowed), rule.default)
    if rule.default is not None and (complaint := ready.complaint(rule.default)) is not None:
        raise ValidationError.of(f"{where}default", complaint)
    return ready


def _program_problems(table: _Table, where: str) -> list[FieldProblem]:
    first, *others = table.program
    problems = []
    if not first.startswith("/"):
        problems.append(FieldProblem(f"{where}program[0]", "must be an absolute path"))
    elif not (os.path.isfile(first) and os.access(first, os.X_OK)):
        problems.append(FieldProblem(f"{where}program[0]", f"{first} is not a program that can be run"))
    for place, argument in enumerate(others, 1):
        field = f"{where}program[{place}]"
        if "\x00" in argument:
            problems.append(FieldProblem(field, "must not hold a NUL"))
        elif _is_place(argument):
            if argument[1:-1] not in table.fields:
                problems.append(FieldProblem(field, f"{argument} is not declared in {where}fields"))
        elif any("{" + name + "}" in argument for name in table.fields):
            problems.append(FieldProblem(field, "a payload field stands for a whole argument only"))
    return problems


def _surroundings_problems(table: _Table, where: str) -> list[FieldProblem]:
    problems = []
    if not (table.folder.startswith("/") and os.path.isdir(table.folder)):
        problems.append(FieldProblem(f"{where}folder", f"{table.folder} is not a folder with an absolute path"))
    for name, value in table.environment.items():
        if not _NAME.fullmatch(name) or name == MARK or "\x00" in value:
            problems.append(FieldProblem(f"{where}environment.{name}", "is not a variable that can be set"))
    return problems
