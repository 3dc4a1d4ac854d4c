"""`GET /health` of the local port: how this wrapper and the gateway behind it are (specification section 8.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wrapper.local_api import LocalApi, LocalRequest, LocalResponse

Status = Callable[[], dict[str, Any]]


def add_health(api: LocalApi, status: Status) -> None:
    """Put `/health` on the port: the Hub may ask it too, so it is not for this machine alone."""

    async def health(_: LocalRequest) -> LocalResponse:
        return LocalResponse(status())

    api.route("GET", "/health", health, local=False)
