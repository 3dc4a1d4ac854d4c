"""The OpenAPI 3.1 document, read from the same declarations that are served."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from controlplane.api.endpoint import Endpoint, PathParameter, items_of
from controlplane.api.envelope import Raw, Stream
from controlplane.api.faults import implied_faults
from controlplane.api.guards import SECURITY_SCHEMES
from controlplane.api.paging import Listing
from controlplane.api.schemas import Schema, Schemas, text_form
from protocol.faults import Fault, NotFound, PayloadTooLarge, UnsupportedMediaType, ValidationError

VERSION: Final = "1.0.0"
_FAULT: Final = "#/components/schemas/Refusal"

_DESCRIPTION: Final = """\
Every answer is `{"success": true, "data": …, "meta": …}`, every refusal
`{"success": false, "error": {"code", "message", "details"}}`; each carries an `X-Request-Id`.
A `VALIDATION_ERROR` names every bad field in `details`. A `RATE_LIMITED` says in `Retry-After` when to come again.
"""


def document(endpoints: Sequence[Endpoint], *, public_url: str) -> dict[str, Any]:
    """The document of all endpoints that are not hidden.

    Args:
        public_url: where this Hub is reached; paths are absolute below it.
    """
    shown = [endpoint for endpoint in endpoints if not endpoint.hidden]
    schemas = Schemas(
        requested=_bodies(one for one in shown if not one.forgive_unknown),
        forgiven=_bodies(one for one in shown if one.forgive_unknown),
        answered=[
            *(items_of(one.answer)[1] for one in shown if one.answer not in (Raw, Stream)),
            *(parameter.wanted for one in shown for parameter in one.path_parameters),
        ],
    )
    used = {scheme for one in shown for way in one.guard.openapi_security for scheme in way}
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in shown:
        paths.setdefault(public_path(endpoint), {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "LetsBe Hub", "version": VERSION, "description": _DESCRIPTION.replace("\n", " ").strip()},
        "servers": [{"url": public_url}],
        "tags": [{"name": tag} for tag in dict.fromkeys(one.tag for one in shown)],
        "paths": paths,
        "components": {
            "schemas": {**schemas.components, **_refusal_schemas()},
            "securitySchemes": {name: dict(SECURITY_SCHEMES[name]) for name in SECURITY_SCHEMES if name in used},
        },
    }


def public_path(endpoint: Endpoint) -> str:
    """The path as the document writes it, names in camelCase as everything outside."""
    return re.sub(r"\{(\w+)\}", lambda match: f"{{{camel(match[1])}}}", endpoint.path)


def camel(name: str) -> str:
    """`approval_id` → `approvalId`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _bodies(endpoints: Iterable[Endpoint]) -> list[Any]:
    return [wanted for one in endpoints for wanted in (one.body, one.form, one.query) if wanted is not None]


def _operation(endpoint: Endpoint, schemas: Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.operation_id,
        "summary": endpoint.summary,
        "tags": [endpoint.tag],
        "security": [dict(way) for way in endpoint.guard.openapi_security],
    }
    if endpoint.description:
        operation["description"] = endpoint.description
    parameters = [_path_parameter(parameter, schemas) for parameter in endpoint.path_parameters]
    if endpoint.query is not None:
        parameters += _query_parameters(endpoint.query, schemas)
    if parameters:
        operation["parameters"] = parameters
    content: dict[str, Any] = {}
    if endpoint.body is not None:
        content["application/json"] = {"schema": schemas.of(endpoint.body)}
    if endpoint.form is not None:
        content["application/x-www-form-urlencoded"] = {"schema": schemas.of(endpoint.form)}
    if endpoint.raw and not content:
        content["application/octet-stream"] = {"schema": {}}
    if content:
        optional = endpoint.body_optional or endpoint.form_optional
        operation["requestBody"] = {"required": not optional, "content": content}
    operation["responses"] = {
        **{str(status): _success(endpoint, status, schemas) for status in (endpoint.status, *endpoint.other_statuses)},
        **_refusals(endpoint),
    }
    return operation


def _path_parameter(parameter: PathParameter, schemas: Schemas) -> dict[str, Any]:
    schema: Schema
    if parameter.prefix is not None:
        schema = {"type": "string", "pattern": f"^{parameter.prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$"}
    else:
        schema = {**schemas.of(parameter.wanted), **text_form(parameter.wanted)}
        if schema.get("type") == "string":
            schema.setdefault("minLength", 1)
    return {"name": camel(parameter.name), "in": "path", "required": True, "schema": schema}


def _query_parameters(query: type[msgspec.Struct], schemas: Schemas) -> list[dict[str, Any]]:
    component = schemas.resolve(schemas.of(query))
    parameters = []
    for name, schema in component["properties"].items():
        schema = _without_null(schema)
        parameter = {"name": name, "in": "query", "required": name in component["required"], "schema": schema}
        description = schema.pop("description", None)
        if description is not None:
            parameter["description"] = description
        parameters.append(parameter)
    return parameters


def _without_null(schema: Schema) -> Schema:
    """A query has no null: what is left out is None."""
    kept = dict(schema)
    if kept.get("default", ...) is None:
        del kept["default"]
    members = [member for member in kept.pop("anyOf", []) if member.get("type") != "null"]
    if len(members) == 1:
        kept = {**members[0], **kept}
    elif members:
        kept["anyOf"] = members
    return kept


def _success(endpoint: Endpoint, status: int, schemas: Schemas) -> dict[str, Any]:
    description = HTTPStatus(status).phrase
    headers = {"X-Request-Id": {"schema": {"type": "string"}, "description": "Quote it to support."}}
    if endpoint.answer is Raw:
        return {"description": description, "headers": headers}
    if endpoint.answer is Stream:
        bare = [media_type.partition(";")[0] for media_type in endpoint.media_types]
        content = {media_type: {"schema": {"type": "string"}} for media_type in bare}
        return {"description": description, "headers": headers, "content": content}
    listed, wanted = items_of(endpoint.answer)
    data = {"type": "null"} if wanted in (None, type(None)) else schemas.of(wanted)
    if listed is not None:
        data = {"type": "array", "items": data}
    schema: Schema = data
    if endpoint.envelope:
        schema = {
            "type": "object",
            "required": ["success", "data"],
            "properties": {"success": {"const": True}, "data": data},
        }
        if listed is not None:
            name = "PageMeta" if listed is Listing else "CursorMeta"
            schema["required"].append("meta")
            schema["properties"]["meta"] = {"$ref": f"#/components/schemas/{name}"}
    return {
        "description": description,
        "headers": headers,
        "content": {"application/json": {"schema": schema}},
    }


def faults_of(endpoint: Endpoint) -> list[type[Fault]]:
    """Every refusal an endpoint may answer with, declared or implied."""
    faults: list[type[Fault]] = []
    if endpoint.query is not None or endpoint.takes_body:
        faults.append(ValidationError)
    if endpoint.takes_body:
        faults.append(PayloadTooLarge)
    if endpoint.body is not None or endpoint.form is not None:
        faults.append(UnsupportedMediaType)
    if endpoint.path_parameters:
        faults.append(NotFound)
    faults += [*endpoint.guard.refuses, *endpoint.raises, *implied_faults(limited=endpoint.rate is not None)]
    return sorted(dict.fromkeys(faults), key=lambda fault: (fault.status, fault.code))


def _refusals(endpoint: Endpoint) -> dict[str, Any]:
    by_status: dict[int, list[type[Fault]]] = {}
    for fault in faults_of(endpoint):
        by_status.setdefault(fault.status, []).append(fault)
    responses: dict[str, Any] = {}
    for status, faults in by_status.items():
        codes = [fault.code for fault in faults]
        refusal: Schema = {
            "allOf": [
                {"$ref": _FAULT},
                {"properties": {"error": {"properties": {"code": {"enum": codes}}}}},
            ]
        }
        if endpoint.answer is Raw and endpoint.takes_body:
            # next-auth's routes refuse in next-auth's manner: `{}`, or the `url` that tells why.
            url = {"type": "object", "properties": {"url": {"type": "string"}}, "additionalProperties": False}
            refusal = {"anyOf": [refusal, url]}
        response: dict[str, Any] = {
            "description": "\n".join(f"{fault.code}: {_first_line(fault)}" for fault in faults),
            "content": {
                "application/json": {"schema": refusal},
            },
        }
        if status in (429, 503):
            response["headers"] = {
                "Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds."}
            }
        responses[str(status)] = response
    return responses


def _first_line(fault: type[Fault]) -> str:
    return (fault.__doc__ or fault.code).strip().partition("\n")[0].rstrip(".")


def _refusal_schemas() -> dict[str, Schema]:
    whole = {"type": "integer", "minimum": 0}
    return {
        "Refusal": {
            "title": "Refusal",
            "type": "object",
            "required": ["success", "error"],
            "properties": {
                "success": {"const": False},
                "error": {
                    "type": "object",
                    "required": ["code", "message", "details"],
                    "properties": {
                        "code": {"type": "string"},
                        "message": {"type": "string", "description": "For a person."},
                        "details": {
                            "description": "For a program: the bad fields of a VALIDATION_ERROR as "
                            "{field, message}, the winner's decision of a CONFLICT; empty otherwise."
                        },
                    },
                },
            },
        },
        "PageMeta": {
            "title": "PageMeta",
            "type": "object",
            "required": ["page", "pageSize", "total"],
            "properties": {"page": whole, "pageSize": whole, "total": whole},
        },
        "CursorMeta": {
            "title": "CursorMeta",
            "type": "object",
            "required": ["limit", "nextCursor"],
            "properties": {"limit": whole, "nextCursor": {"type": ["string", "null"]}},
        },
    }
