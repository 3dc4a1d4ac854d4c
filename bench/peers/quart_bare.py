"""The peer of `bench.calls`: bare Quart-trio routes for GET and POST, on Hypercorn: `… --port 0`."""

from __future__ import annotations

import json
from typing import Any

import click
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import Response, request
from quart_trio import QuartTrio
from sqlalchemy import text

from controlplane.store.database import Database
from controlplane.store.fetching import Query

_ONE = Query(text("SELECT 1"))


def build(answer: dict[str, Any], database: Database) -> QuartTrio:
    """An app that answers a GET and a POST with JSON, and does nothing else; one GET asks the database besides."""
    app = QuartTrio(__name__)

    @app.get("/things")
    async def things() -> Response:
        return Response(json.dumps(answer), content_type="application/json")

    @app.get("/asked")
    async def asked() -> Response:
        await database.fetch(_ONE)
        return Response(json.dumps(answer), content_type="application/json")

    @app.post("/things/<name>")
    async def decide(name: str) -> Response:
        await request.get_json()
        return Response(json.dumps({"success": True, "data": {"id": name}}), content_type="application/json")

    return app


@click.command()
@click.option("--port", required=True, type=int)
@click.option("--answer", default="{}", help="What a GET answers, as JSON.")
@click.option("--database", required=True, help="A PostgreSQL; it is asked by one route only.")
def main(port: int, answer: str, database: str) -> None:
    """Serve until killed."""
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "error"
    trio.run(_serve, json.loads(answer), database, config)


async def _serve(answer: dict[str, Any], url: str, config: Config) -> None:
    async with Database.open(url) as database:
        await serve(build(answer, database), config)


if __name__ == "__main__":
    main()
