"""Every operation of our OpenAPI document is called with generated input, sound and broken, by callers of its kind.

Never a 5xx but OVERLOADED and TENANT_OFFLINE, which are documented; every status, media type and body is what the
document says. `make fuzz` tries longer.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.endpoints import shape
from tests.end_to_end.contract.walk import CRON_SECRET, PASSWORD, Walk

#: Cases for each operation, caller and mode.
CASES = int(os.environ.get("HUB_TEST_FUZZ_CASES", "3"))
SEED = int(os.environ.get("HUB_TEST_FUZZ_SEED", "20260315"))
#: Where guessing and flooding are held up by limits of their own, which no setting raises: 429 is an answer there.
STRICT = (
    "/api/auth/",
    "/api/v1/setup",
    "/api/v1/auth/",
    "/api/v1/profile/password",
    "/api/v1/admin/staff/invit",
    "/api/v1/admin/settings/test-email",
    "/api/v1/tenant/register",
    "/api/v1/public/orders",
)
CHECKS: list[CheckFunction] = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@dataclass
class Crowd:
    """One caller of each kind, found or signed in again before each operation: some operations end sessions."""

    walk: Walk
    client: httpx.Client
    ids: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def token(self, kind: str) -> str | None:
        """The token that is good now; None: nobody."""
        if kind == "nobody":
            return None
        if kind in ("staff", "maria"):
            mine = "/api/v1/profile" if kind == "staff" else "/api/v1/customer/settings"
            known = self.client.get(mine, headers={"Authorization": f"Bearer {self.tokens.get(kind)}"})
            if known.status_code != 200:
                self.tokens[kind] = self._sign_in(kind)
        return self.tokens[kind]

    def _sign_in(self, kind: str) -> str:
        provider, table = ("credentials", "staff") if kind == "staff" else ("customer", "users")
        who = "role = 'OWNER' AND status = 'ACTIVE'" if kind == "staff" else "name = 'Maria Weber'"
        email = self.walk.hub.value(f"SELECT email FROM {table} WHERE {who} ORDER BY created_at LIMIT 1")
        password = "a wholly different passphrase" if kind == "staff" else PASSWORD
        answer = self.client.post(f"/api/auth/callback/{provider}", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        self.client.cookies.clear()
        return next(value for name, value in answer.cookies.items() if "session-token" in name)


@pytest.fixture(scope="module")
def crowd(walked: Walk) -> Iterator[Crowd]:
    """The walk's people, and spare things that may be broken."""
    with httpx.Client(base_url=walked.hub.url, trust_env=False, timeout=60) as client:
        tokens = {
            "tenant": walked.callers["tenant"].headers["authorization"].removeprefix("Bearer "),
            "website": walked.callers["website"].headers["authorization"].removeprefix("Bearer "),
            "clock": CRON_SECRET,
        }
        crowd = Crowd(walked, client, tokens=tokens)
        staff = {"Authorization": f"Bearer {crowd.token('staff')}"}
        spare = {"email": "spare@other.example", "name": "Spare", "company": "Spare", "password": PASSWORD}
        made = client.post("/api/v1/admin/customers", json=spare, headers=staff)
        assert made.status_code == 201, made.text
        orders = client.get("/api/v1/admin/servers", headers=staff).json()["data"]
        server = next(one for one in orders if one["orderId"] == walked.ids["order"])
        crowd.ids = {
            "customerId": made.json()["data"]["id"],
            "orderId": walked.ids["order"],
            "serverId": server["id"],
            "staffId": walked.ids["sam"],
            "agentId": "it-admin",
            "agentConfigId": walked.ids["agent"],
            "approvalId": walked.ids["asked"],
            "provider": "credentials",
        }
        yield crowd


def kinds_of(operation: dict[str, Any], path: str) -> list[str]:
    """Who calls it."""
    ways = {name for way in operation.get("security", []) for name in way}
    if "hubApiKey" in ways:
        return ["tenant", "staff"] if "sessionToken" in ways else ["tenant"]
    if "apiKey" in ways:
        return ["website"]
    if "cronSecret" in ways:
        return ["clock"]
    if "sessionToken" not in ways:
        return ["nobody"]
    if path.startswith("/api/v1/customer"):
        return ["maria"]
    return ["staff", "maria"] if path.startswith("/api/v1/auth") else ["staff"]


@dataclass
class Told:
    """What came of it."""

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
    succeeded: set[str] = field(default_factory=set)
    operations: set[str] = field(default_factory=set)


def broken(answer: Any, case: Any) -> str | None:
    """What the checks say of an answer."""
    limited = answer.status_code == 429 and not case.operation.path.startswith(STRICT)
    if limited or (answer.status_code >= 500 and answer.status_code != 503):
        return f"{answer.status_code} {answer.text[:300]}"
    try:
        case.validate_response(answer, checks=CHECKS)
    except (FailureGroup, AssertionError) as failure:
        parts = getattr(failure, "exceptions", [failure])
        return "; ".join(f"{type(part).__name__}: {str(part)[:600]}" for part in parts)
    return None


def fuzz(operation: Any, label: str, kind: str, mode: GenerationMode, crowd: Crowd, told: Told, web: Any) -> None:
    """Call one operation as one caller."""
    token = crowd.token(kind)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    strategy = operation.as_strategy(generation_mode=mode)

    @seed(SEED)
    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy, known=st.booleans())
    def call(case: Any, known: bool) -> None:
        if known:
            case.path_parameters = {
                name: crowd.ids.get(name, value) for name, value in (case.path_parameters or {}).items()
            }
        answer = case.call(base_url=crowd.walk.hub.url, headers=headers, session=web, timeout=60)
        told.cases += 1
        told.statuses[answer.status_code] += 1
        if 200 <= answer.status_code < 300:
            told.succeeded.add(label)
        wrong = broken(answer, case)
        if wrong is not None:
            told.failures.setdefault(f"{label} as {kind}, {mode.value}", f"{wrong}\n{case.as_curl_command()[:600]}")

    call()


@pytest.mark.slow
def test_generated_calls_are_answered_as_the_document_says(crowd: Crowd) -> None:
    document = crowd.client.get("/api/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    told = Told()
    with requests.Session() as web:
        web.trust_env = False
        for result in schema.get_all_operations():
            operation = result.ok()
            label = f"{operation.method.upper()} {operation.path}"
            told.operations.add(label)
            declared = document["paths"][operation.path][operation.method]
            for kind in kinds_of(declared, operation.path):
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                    try:
                        fuzz(operation, label, kind, mode, crowd, told, web)
                    except Exception as error:
                        if "Unsatisfiable" not in type(error).__name__:
                            raise
                    web.cookies.clear()
    walked = {shape(row) for row in (*crowd.walk.answers, *crowd.walk.besides)}
    succeeded = told.succeeded | {label for label in told.operations if shape(label) in walked}
    print(f"{told.cases} cases over {len(told.operations)} operations: {dict(sorted(told.statuses.items()))}")
    missed = sorted(told.operations - succeeded)
    assert not missed, f"without a success here or in the walk: {missed}"
    assert told.cases > len(told.operations)
    assert crowd.walk.hub.bugs() == []
    assert not told.failures, "\n\n".join(f"{label}: {failure}" for label, failure in told.failures.items())
