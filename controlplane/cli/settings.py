"""`hub settings`: every setting, its value, where that came from, and what it means."""

from __future__ import annotations

import click
import msgspec

from controlplane.settings import DEFAULT, Line, process_environment, table


@click.command("settings")
@click.option("--json", "as_json", is_flag=True, help="A JSON array instead of text.")
@click.option("--markdown", is_flag=True, help="The table of the documentation: defaults, no values.")
def command(as_json: bool, markdown: bool) -> None:
    """List the settings: value, where it came from, meaning.

    A secret's value is never shown. A wrong setting is named, and the exit code is 2.

    \b
    Examples:
      hub settings
      HUB_BIND=0.0.0.0:8000 hub settings
      hub settings --json | jq '.[] | select(.source != "default")'
    """
    if markdown:
        click.echo(markdown_table(table({})), nl=False)
        return
    lines = table(process_environment())
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(lines)))
        return
    for line in lines:
        value = line.value if line.value is not None else f"({line.default})"
        source = "" if line.source == DEFAULT else f"   from {line.source}"
        click.echo(f"{click.style(line.name, bold=True)} = {value}{source}")
        click.echo(f"    {line.description}")


def markdown_table(lines: list[Line]) -> str:
    """The settings as a Markdown table, for docs/operations.md."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    rows += [f"| `{line.name}` | {_cell(line)} | {line.description} |" for line in lines]
    return "\n".join(rows) + "\n"


def _cell(line: Line) -> str:
    # `value` is set only where the default is a value, not a description of what an unset one means.
    return line.default if line.value is None else f"`{line.default}`"
