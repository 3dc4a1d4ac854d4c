"""`hub asyncapi`: the sockets' document, from the types that are spoken there."""

from __future__ import annotations

from typing import BinaryIO

import click
import msgspec

from controlplane.api.asyncapi import document
from controlplane.settings import Settings


@click.command("asyncapi")
@click.option("--output", type=click.File("wb"), default="-", metavar="FILE", help="Where to; standard output.")
def command(output: BinaryIO) -> None:
    """Write the AsyncAPI 3 document; a running Hub serves the same at /api/asyncapi.json.

    \b
    Examples:
      hub asyncapi --output asyncapi.json
      hub asyncapi | jq '.components.messages | keys'
    """
    described = document(public_url=Settings.of_process().public_address)
    output.write(msgspec.json.format(msgspec.json.encode(described)) + b"\n")
