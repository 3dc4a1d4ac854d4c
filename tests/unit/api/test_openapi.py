"""The OpenAPI document says what is served, and is sound."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate

from controlplane.api.hub import Hub
from controlplane.api.mount import HubApp
from controlplane.api.openapi import document
from controlplane.api.routes import routers
from tests.unit.api.conftest import Workshop, make_app
from tests.unit.api.test_mount import ask

METHODS = {"get", "post", "put", "patch", "delete"}


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [one for value in part.values() for one in references(value)]
    if isinstance(part, list):
        return [one for value in part for one in references(value)]
    return []


def check(openapi: dict[str, Any]) -> None:
    """The essential structure of OpenAPI 3.1.0: what its schema demands of the parts we use."""
    assert openapi["openapi"] == "3.1.0"
    assert {"title", "version"} <= openapi["info"].keys()
    assert msgspec.json.decode(msgspec.json.encode(openapi)) == openapi
    components = openapi["components"]
    for reference in references(openapi):
        assert reference.startswith("#/components/schemas/")
        assert reference.removeprefix("#/components/schemas/") in components["schemas"], reference
    tags = [tag["name"] for tag in openapi["tags"]]
    assert len(set(tags)) == len(tags)
    operation_ids = []
    for path, item in openapi["paths"].items():
        assert path.startswith("/")
        named = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        assert item.keys() <= METHODS
        for operation in item.values():
            operation_ids.append(operation["operationId"])
            assert operation["summary"].endswith(".")
            assert set(operation["tags"]) <= set(tags)
            for way in operation["security"]:
                assert way.keys() <= components["securitySchemes"].keys()
            parameters = operation.get("parameters", [])
            assert len({(one["in"], one["name"]) for one in parameters}) == len(parameters)
            assert {one["name"] for one in parameters if one["in"] == "path"} == named
            assert all(one["schema"] and (one["required"] or one["in"] == "query") for one in parameters)
            assert all("description" in response for response in operation["responses"].values())
            assert any(status.startswith(("2", "3")) for status in operation["responses"])
            assert {"500", "503"} <= operation["responses"].keys()
    assert len(set(operation_ids)) == len(operation_ids)


@pytest.fixture
def openapi(app: HubApp) -> dict[str, Any]:
    return app.openapi


async def test_it_is_served_as_it_was_read(app: HubApp, openapi: dict[str, Any]) -> None:
    answer = await ask(app, "GET", "/api/openapi.json")
    assert (answer.status, answer.json) == (200, openapi)
    check(answer.json)


def test_the_documents_of_the_hub_itself_are_sound() -> None:
    endpoints = [endpoint for router in routers() for endpoint in router.endpoints]
    described = document(endpoints, public_url="https://hub.letsbe.biz")
    check(described)
    validate(described)
    operations = [operation for item in described["paths"].values() for operation in item.values()]
    assert len(operations) == len([endpoint for endpoint in endpoints if not endpoint.hidden])


def test_another_status_of_success_is_told_with_the_same_answer() -> None:
    declared = [endpoint for router in routers() for endpoint in router.endpoints]
    asked = document(declared, public_url="https://hub.example")["paths"]["/api/v1/tenant/approval-request"]["post"]
    assert asked["responses"]["200"]["content"] == asked["responses"]["201"]["content"]


def test_paths_are_absolute_and_names_are_outside_names(openapi: dict[str, Any]) -> None:
    assert openapi["servers"] == [{"url": "http://127.0.0.1:8000"}]
    parameters = openapi["paths"]["/api/v1/things/{thingId}/parts/{number}"]["delete"]["parameters"]
    assert parameters == [
        {
            "name": "thingId",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": "^ord_[0-7][0-9a-hjkmnp-tv-z]{25}$"},
        },
        {"name": "number", "in": "path", "required": True, "schema": {"type": "integer"}},
    ]


def test_a_query_says_its_bounds_and_has_no_null(openapi: dict[str, Any]) -> None:
    parameters = {one["name"]: one for one in openapi["paths"]["/api/v1/things"]["get"]["parameters"]}
    assert parameters["pageSize"]["schema"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 100,
        "format": "int64",
        "default": 25,
    }
    assert parameters["pageSize"]["description"] == "How many on a page."
    assert parameters["search"] == {
        "name": "search",
        "in": "query",
        "required": False,
        "schema": {"type": "string", "maxLength": 20},
    }


def test_bodies_refuse_unknown_fields_where_the_border_does(openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]
    assert schemas["NewThing"]["additionalProperties"] is False
    assert schemas["Part"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["Sign"]
    assert "additionalProperties" not in schemas["Thing"]
    assert schemas["Part"]["properties"]["name"]["examples"] == ["wheel"]
    assert schemas["Part"]["properties"]["tokensInput"]["maximum"] == 2**63 - 1
    assert schemas["NewThing"]["properties"]["madeAt"]["anyOf"][0]["format"] == "date-time"
    assert schemas["Thing"]["properties"]["id"]["pattern"].startswith("^ord_")


def test_answers_stand_in_their_envelope(openapi: dict[str, Any]) -> None:
    def schema(path: str, method: str, status: str) -> dict[str, Any]:
        answer = openapi["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]
        assert isinstance(answer, dict)
        return answer

    listed = schema("/api/v1/things", "get", "200")
    assert listed["properties"]["data"] == {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}
    assert listed["properties"]["meta"] == {"$ref": "#/components/schemas/PageMeta"}
    made = schema("/api/v1/things", "post", "201")
    assert made["properties"]["data"] == {"$ref": "#/components/schemas/Thing"}
    assert schema("/api/v1/things/{thingId}", "patch", "200")["properties"]["data"] == {"type": "null"}
    assert schema("/healthz", "get", "200") == {"$ref": "#/components/schemas/Alive"}


def test_declared_and_implied_refusals_are_told(openapi: dict[str, Any]) -> None:
    responses = openapi["paths"]["/api/v1/things"]["post"]["responses"]
    assert responses.keys() == {"201", "400", "409", "413", "415", "429", "500", "503"}
    assert "CONFLICT" in responses["409"]["description"]
    assert "Retry-After" in responses["429"]["headers"]
    assert openapi["paths"]["/api/v1/things"]["post"]["description"] == "It is made at once, of `parts`."
    assert openapi["paths"]["/healthz"]["get"]["responses"].keys() == {"200", "500", "503"}


def test_form_and_json_stand_beside_each_other(openapi: dict[str, Any]) -> None:
    body = openapi["paths"]["/api/auth/callback"]["post"]["requestBody"]
    assert body["content"].keys() == {"application/json", "application/x-www-form-urlencoded"}
    assert body["required"] is False


async def test_every_answer_keeps_to_its_own_schema(app: HubApp, workshop: Workshop, hub: Hub) -> None:
    """The document and what is served come from one declaration; here they meet again."""
    app = make_app(workshop, hub)
    answer = await ask(app, "GET", "/api/v1/things")
    thing = app.openapi["components"]["schemas"]["Thing"]
    (item,) = answer.json["data"]
    assert set(item) == set(thing["properties"]) == set(thing["required"])
