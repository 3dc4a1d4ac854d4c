"""`hub openapi`: the API's document, from the declarations that are served."""

from __future__ import annotations

from typing import BinaryIO

import click
import msgspec

from controlplane.api.openapi import document
from controlplane.api.routes import routers
from controlplane.settings import Settings


@click.command("openapi")
@click.option("--output", type=click.File("wb"), default="-", metavar="FILE", help="Where to; standard output.")
def command(output: BinaryIO) -> None:
    """Write the OpenAPI 3.1 document; a running Hub serves the same at /api/openapi.json.

    \b
    Examples:
      hub openapi --output openapi.json
      hub openapi | jq '.paths | keys'
    """
    settings = Settings.of_process()
    endpoints = [endpoint for router in routers() for endpoint in router.endpoints]
    described = document(endpoints, public_url=settings.public_address)
    output.write(msgspec.json.format(msgspec.json.encode(described)) + b"\n")
