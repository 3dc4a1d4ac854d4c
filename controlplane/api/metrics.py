"""Figures for `/metrics`: HTTP requests counted here, everything else read from the parts when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

#: Numbers of one part by name, as `stats()` of sockets, actors and database give them.
Reading = Callable[[], Mapping[str, float]]

_DURATIONS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The registry of one Hub and what the HTTP floor adds to it.

    Args:
        registry: injected; a fresh one by default, never the process-wide one.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        self._requests = Histogram(
            "hub_http_request_seconds",
            "Seconds from a request's head to its answer, by route template.",
            ("method", "route", "status"),
            buckets=_DURATIONS_SECONDS,
            registry=self.registry,
        )
        self._children: dict[tuple[str, str, int], Histogram] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request; `route` is the template, never a caller's path."""
        key = (method, route, status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._requests.labels(method, route, str(status))
        child.observe(seconds)

    def read(self, part: str, reading: Reading) -> None:
        """Show a part's numbers as gauges `hub_<part>_<name>` whenever the metrics are asked for."""
        self.registry.register(_Readings(part, reading))

    def text(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)


class _Readings(Collector):
    def __init__(self, part: str, reading: Reading) -> None:
        self._part = part
        self._reading = reading

    def describe(self) -> Iterable[Metric]:
        return ()  # the names are known only when read

    def collect(self) -> Iterable[Metric]:
        for name, value in self._reading().items():
            yield GaugeMetricFamily(f"hub_{self._part}_{name}", f"{name} of {self._part}.", value=value)
