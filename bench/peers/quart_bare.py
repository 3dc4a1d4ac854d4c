"""The peer of `bench.calls`: one bare Quart-trio route each for GET and POST, on Hypercorn: `… --port 0`."""

from __future__ import annotations

import json
from typing import Any

import click
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import Response, request
from quart_trio import QuartTrio


def build(answer: dict[str, Any]) -> QuartTrio:
    """An app that answers a GET and a POST with JSON, and does nothing else."""
    app = QuartTrio(__name__)

    @app.get("/things")
    async def things() -> Response:
        return Response(json.dumps(answer), content_type="application/json")

    @app.post("/things/<name>")
    async def decide(name: str) -> Response:
        await request.get_json()
        return Response(json.dumps({"success": True, "data": {"id": name}}), content_type="application/json")

    return app


@click.command()
@click.option("--port", required=True, type=int)
@click.option("--answer", default="{}", help="What a GET answers, as JSON.")
def main(port: int, answer: str) -> None:
    """Serve until killed."""
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "error"
    trio.run(serve, build(json.loads(answer)), config)


if __name__ == "__main__":
    main()
