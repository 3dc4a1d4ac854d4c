"""The one declaration of an endpoint, read from its handler's signature when the module is imported."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, NewType, Union, get_args, get_origin, get_type_hints

import msgspec

from controlplane.api.call import Call
from controlplane.api.convert import JsonReader, TextReader
from controlplane.api.envelope import Raw, Stream
from controlplane.api.guards import Guard
from controlplane.api.paging import CursorListing, Listing
from protocol.faults import Fault, NotFound
from protocol.ids import PREFIXES, parse_id

Handler = Callable[..., Awaitable[Any]]

DEFAULT_BODY_LIMIT_BYTES: Final = 1024 * 1024

_PARAMETER: Final = re.compile(r"^\{([a-z_][a-z0-9_]*)\}$")
_SPOKEN_FOR: Final = frozenset({"call", "query", "body", "form", "raw"})


class BadDeclaration(TypeError):
    """An endpoint's declaration lacks something; refuses at import, naming the handler."""


@dataclass(frozen=True, slots=True)
class PathParameter:
    """One `{name}` of a path and how its text is read."""

    name: str
    wanted: Any
    prefix: str | None

    def read(self, text: str) -> Any:
        """The value a handler receives; ids stay text.

        Raises:
            NotFound: text that can name nothing.
        """
        if "\0" in text:
            raise NotFound("there is nothing under this path")
        if self.prefix is not None:
            try:
                parse_id(self.prefix, text)
            except ValueError:
                raise NotFound(f"{text[:60]!r} is no id of the form {self.prefix}_…") from None
            return text
        if self.wanted is str:
            return text
        try:
            return msgspec.convert(text, self.wanted, strict=False)
        except msgspec.ValidationError:
            raise NotFound(f"there is nothing under {text[:60]!r}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Everything the mount, the OpenAPI document and the tests know of an endpoint."""

    method: str
    path: str
    handler: Handler
    guard: Guard[Any]
    tag: str
    rate: str | None
    status: int
    other_statuses: tuple[int, ...]
    raises: tuple[type[Fault], ...]
    envelope: bool
    media_types: tuple[str, ...]
    body_limit_bytes: int
    deadline_seconds: float | None
    forgive_unknown: bool
    summary: str
    description: str
    answer: Any
    segments: tuple[str, ...]
    path_parameters: tuple[PathParameter, ...] = ()
    query: type[msgspec.Struct] | None = None
    body: Any = None
    body_optional: bool = False
    form: type[msgspec.Struct] | None = None
    form_optional: bool = False
    raw: bool = False
    hidden: bool = False
    quiet: bool = False
    query_reader: TextReader[Any] | None = field(default=None, repr=False)
    body_reader: JsonReader[Any] | None = field(default=None, repr=False)
    form_reader: TextReader[Any] | None = field(default=None, repr=False)

    @property
    def operation_id(self) -> str:
        """Unique over all routers: the audience's folder, the noun's file and the handler's name."""
        module = self.handler.__module__.removeprefix("controlplane.api.").replace(".", "_")
        return f"{module}_{self.handler.__name__}"

    @property
    def takes_body(self) -> bool:
        return self.body is not None or self.form is not None or self.raw


def declare(
    handler: Handler,
    *,
    method: str,
    path: str,
    guard: Guard[Any],
    tag: str,
    rate: str | None,
    status: int,
    other_statuses: Sequence[int] = (),
    raises: Sequence[type[Fault]],
    envelope: bool,
    media_types: Sequence[str] = (),
    body_limit_bytes: int,
    deadline_seconds: float | None,
    forgive_unknown: bool,
    hidden: bool,
    quiet: bool,
) -> Endpoint:
    """Read a handler's signature into an endpoint.

    Raises:
        BadDeclaration: no docstring, no answer type, a path name without its parameter or the other way round, or a
            parameter nobody fills.
    """
    name = f"{handler.__module__}.{handler.__qualname__}"
    if not inspect.iscoroutinefunction(handler):
        raise BadDeclaration(f"{name} must be an async function")
    summary, _, description = (inspect.getdoc(handler) or "").strip().partition("\n")
    if not summary:
        raise BadDeclaration(f"{name} has no docstring: its first line is the endpoint's summary")
    try:
        hints = get_type_hints(handler, include_extras=True)
    except NameError as error:
        raise BadDeclaration(f"{name}: a type in its signature is not imported: {error}") from error
    if "return" not in hints:
        raise BadDeclaration(f"{name} does not say what it answers")
    answer = hints.pop("return")
    if envelope and answer in (Raw, Stream):
        raise BadDeclaration(f"{name} answers {answer.__name__}: declare it with envelope=False")
    if (answer is Stream) != bool(media_types):
        raise BadDeclaration(f"{name}: a Stream, and nothing else, names its media_types")

    parameters = list(inspect.signature(handler).parameters)
    if not parameters or parameters[0] != "call":
        raise BadDeclaration(f"{name}: its first parameter must be `call`")
    missing = [parameter for parameter in parameters if parameter not in hints]
    if missing:
        raise BadDeclaration(f"{name}: {', '.join(missing)} without a type")
    _check_caller(name, hints["call"], guard)

    segments = tuple(path.split("/")[1:])
    names = [match[1] for segment in segments if (match := _PARAMETER.match(segment))]
    broken = [part for part in segments if ("{" in part or "}" in part) and not _PARAMETER.match(part)]
    if broken or not path.startswith("/") or len(set(names)) != len(names):
        raise BadDeclaration(f"{name}: {path!r} is no path: '/' first, each {{name}} alone between slashes, once")
    strangers = [one for one in parameters if one not in _SPOKEN_FOR and one not in names]
    if strangers:
        raise BadDeclaration(f"{name}: {', '.join(strangers)} is not in the path {path!r}")
    absent = [one for one in names if one not in parameters]
    if absent:
        raise BadDeclaration(f"{name}: the path names {', '.join(absent)}, the signature does not")

    query, _ = _struct(name, "query", hints)
    form, form_optional = _struct(name, "form", hints)
    body, body_optional = _bare(hints.get("body"))
    if body is not None and form is not None and not (body_optional and form_optional):
        raise BadDeclaration(f"{name}: `body` and `form` together must both allow None")
    if hints.get("raw", bytes) is not bytes:
        raise BadDeclaration(f"{name}: `raw` is bytes")
    if "query" in hints and query is None:
        raise BadDeclaration(f"{name}: `query` must be a Struct")

    return Endpoint(
        method=method,
        path=path,
        handler=handler,
        guard=guard,
        tag=tag,
        rate=rate,
        status=status,
        other_statuses=tuple(other_statuses),
        raises=tuple(raises),
        envelope=envelope,
        media_types=tuple(media_types),
        body_limit_bytes=body_limit_bytes,
        deadline_seconds=deadline_seconds,
        forgive_unknown=forgive_unknown,
        hidden=hidden,
        quiet=quiet,
        summary=summary,
        description=inspect.cleandoc(description),
        answer=answer,
        segments=segments,
        path_parameters=tuple(_path_parameter(name, one, hints[one]) for one in names),
        query=query,
        body=body,
        body_optional=body_optional,
        form=form,
        form_optional=form_optional,
        raw="raw" in hints,
        query_reader=_query_reader(query, forgive_unknown),
        body_reader=None if body is None else JsonReader(body, forgive_unknown=forgive_unknown),
        form_reader=None if form is None else TextReader(form, forgive_unknown=forgive_unknown),
    )


class _NoQuery(msgspec.Struct):
    """The query of an endpoint that declares none: whatever is sent is unknown."""


def _query_reader(query: type[msgspec.Struct] | None, forgive_unknown: bool) -> TextReader[Any] | None:
    if query is None and forgive_unknown:
        return None
    return TextReader(query or _NoQuery, forgive_unknown=forgive_unknown)


def items_of(answer: Any) -> tuple[type | None, Any]:
    """The list kind of an answer type (`Listing`, `CursorListing` or None) and the type of what it holds."""
    origin = get_origin(answer)
    if origin is Listing or origin is CursorListing:
        return origin, get_args(answer)[0]
    return None, answer


def _check_caller(name: str, wanted: Any, guard: Guard[Any]) -> None:
    if wanted is Call:
        return
    if get_origin(wanted) is not Call:
        raise BadDeclaration(f"{name}: `call` must be a Call[…]")
    caller = get_args(wanted)[0]
    admits = getattr(guard, "admits", None)
    if isinstance(caller, type) and isinstance(admits, type) and not issubclass(admits, caller):
        raise BadDeclaration(f"{name} wants {caller.__name__}, its guard admits {admits.__name__}")


def _bare(wanted: Any) -> tuple[Any, bool]:
    """The type without `| None`, and whether None was allowed."""
    if get_origin(wanted) in (Union, types.UnionType) and type(None) in get_args(wanted):
        rest = tuple(one for one in get_args(wanted) if one is not type(None))
        return (rest[0] if len(rest) == 1 else Union[rest]), True  # noqa: UP007 - built from values
    return wanted, False


def _struct(name: str, parameter: str, hints: Mapping[str, Any]) -> tuple[type[msgspec.Struct] | None, bool]:
    wanted, optional = _bare(hints.get(parameter))
    if wanted is None:
        return None, False
    if not (isinstance(wanted, type) and issubclass(wanted, msgspec.Struct)):
        raise BadDeclaration(f"{name}: `{parameter}` must be a Struct")
    return wanted, optional


def _path_parameter(name: str, parameter: str, wanted: Any) -> PathParameter:
    bare = get_args(wanted)[0] if get_origin(wanted) is Annotated else wanted
    if isinstance(bare, NewType):
        prefix = PREFIXES.get(bare.__name__)
        return PathParameter(parameter, bare.__supertype__ if wanted is bare else wanted, prefix)
    if bare not in (str, int) and not (isinstance(bare, type) and issubclass(bare, str)):
        raise BadDeclaration(f"{name}: {parameter} in a path must be text, a whole number or an id")
    return PathParameter(parameter, wanted, None)
