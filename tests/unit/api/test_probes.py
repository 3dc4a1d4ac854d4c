"""Alive, ready, figures."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families
from trio.testing import MockClock

from controlplane.api.hub import Hub
from controlplane.api.mount import HubApp
from tests.unit.api.conftest import Workshop, make_app
from tests.unit.api.test_mount import ask


async def well() -> str | None:
    return None


async def ill() -> str | None:
    return "the database is not reachable"


async def broken() -> str | None:
    raise ZeroDivisionError


async def stuck() -> str | None:
    await trio.sleep_forever()
    return None


async def test_alive(app: HubApp) -> None:
    answer = await ask(app, "GET", "/healthz")
    assert (answer.status, answer.json) == (200, {"status": "alive"})


async def test_ready_when_every_check_is_content(workshop: Workshop, make_hub: Callable[..., Hub]) -> None:
    hub = make_hub(readiness=[well, well])
    app = make_app(workshop, hub)
    answer = await ask(app, "GET", "/readyz")
    assert (answer.status, answer.json) == (200, {"status": "ready", "reasons": []})
    hub.draining = True
    answer = await ask(app, "GET", "/readyz")
    assert (answer.status, answer.json) == (
        503,
        {"status": "not ready", "reasons": ["this process is draining"]},
    )


async def test_not_ready_tells_every_reason_and_waits_for_no_check(
    workshop: Workshop, make_hub: Callable[..., Hub], autojump_clock: MockClock
) -> None:
    app = make_app(workshop, make_hub(readiness=[ill, broken, stuck, well]))
    answer = await ask(app, "GET", "/readyz")
    assert answer.status == 503
    assert answer.json["reasons"] == [
        "the database is not reachable",
        "broken failed",
        "stuck did not answer within 2 s",
    ]
    assert trio.current_time() == pytest.approx(2)


async def test_figures_of_requests_and_of_every_part(app: HubApp, hub: Hub) -> None:
    numbers = {"sockets": 3.0, "frames_total": 12}
    hub.metrics.read("door", lambda: numbers)
    await ask(app, "GET", "/api/v1/things")
    await ask(app, "GET", "/api/v1/things?page=0")
    await ask(app, "GET", "/not/a/route/of/ours")
    await ask(app, "BREW", "/api/v1/things")
    numbers["sockets"] = 4
    answer = await ask(app, "GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }
    counted = {
        (dict(key[1:])["method"], dict(key[1:])["route"], dict(key[1:])["status"]): value
        for key, value in samples.items()
        if key[0] == "hub_http_request_seconds_count"
    }
    assert counted == {
        ("GET", "/api/v1/things", "200"): 1,
        ("GET", "/api/v1/things", "400"): 1,
        ("GET", "(none)", "404"): 1,
        ("OTHER", "/api/v1/things", "405"): 1,
    }
    assert samples[("hub_door_sockets",)] == 4
    assert samples[("hub_door_frames_total",)] == 12
