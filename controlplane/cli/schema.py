"""`hub schema`: the tables of the database and how they hang together, as Mermaid diagrams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import ModuleType

import click
from sqlalchemy import Column, ForeignKeyConstraint, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql

from controlplane.store import tables

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


@click.command("schema")
@click.option("--markdown", is_flag=True, help="As the documentation has it: with headings, in fenced blocks.")
def command(markdown: bool) -> None:
    """Draw the database's tables, their columns and their foreign keys.

    \b
    Examples:
      hub schema > schema.mmd
      hub schema --markdown
    """
    if markdown:
        click.echo("\n".join(_markdown()))
    else:
        every = tables.metadata.sorted_tables
        click.echo("\n".join(diagram(sorted(every, key=lambda table: table.name))))


def _rooms() -> list[tuple[ModuleType, list[Table]]]:
    """The modules of tables, each with its tables by their names; one that another module reads too is drawn once."""
    found = []
    drawn: set[str] = set()
    for name in sorted(set(tables.__all__) - {"metadata"}):
        module = getattr(tables, name)
        declared = [table for table in vars(module).values() if isinstance(table, Table) and table.name not in drawn]
        drawn |= {table.name for table in declared}
        found.append((module, sorted(declared, key=lambda table: table.name)))
    return found


def _markdown() -> Iterator[str]:
    for number, (module, declared) in enumerate(_rooms()):
        name = module.__name__.rpartition(".")[2]
        if number:
            yield ""
        yield f"### {name}"
        yield ""
        yield (module.__doc__ or "").strip()
        yield ""
        yield "```mermaid"
        yield from diagram(declared)
        yield "```"


def diagram(shown: Iterable[Table]) -> Iterator[str]:
    """An entity-relationship diagram; a table that is only pointed at is a box without columns."""
    yield "erDiagram"
    for table in shown:
        yield f"    {table.name} {{"
        for column in table.columns:
            marks = f" {','.join(_marks(table, column))}" if _marks(table, column) else ""
            yield f"        {_kind(column)} {column.name}{marks}{_nullable(column)}"
        yield "    }"
        for constraint in sorted(table.foreign_key_constraints, key=lambda key: tuple(key.column_keys)):
            yield f"    {_line(table, constraint)}"


def _nullable(column: Column[object]) -> str:
    return ' "or null"' if column.nullable else ""


def _kind(column: Column[object]) -> str:
    """The column's type as one word, which Mermaid wants."""
    said = column.type.compile(dialect=_DIALECT).lower()
    return {"timestamp with time zone": "timestamptz"}.get(said, said.replace(" ", "_"))


def _marks(table: Table, column: Column[object]) -> list[str]:
    marks = ["PK"] if column.primary_key else []
    if column.foreign_keys:
        marks.append("FK")
    if _alone_in_a_key(table, column) and not column.primary_key:
        marks.append("UK")
    return marks


def _alone_in_a_key(table: Table, column: Column[object]) -> bool:
    by_constraint = any(
        [member.name for member in constraint.columns] == [column.name]
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    )
    by_index = any(
        index.unique
        and [getattr(member, "name", None) for member in index.expressions] == [column.name]
        and index.dialect_options["postgresql"]["where"] is None
        for index in table.indexes
    )
    return by_constraint or by_index


def _line(table: Table, constraint: ForeignKeyConstraint) -> str:
    """Whom a row points at, how many may point at one, and what happens when that one is deleted."""
    columns = list(constraint.columns)
    at_least = "|o" if any(column.nullable for column in columns) else "||"
    key = columns[0]
    at_most = "o|" if len(columns) == 1 and (_alone_in_a_key(table, key) or _whole_key(table, key)) else "o{"
    rule = (constraint.ondelete or "NO ACTION").lower()
    names = ", ".join(constraint.column_keys)
    return f'{constraint.referred_table.name} {at_least}--{at_most} {table.name} : "{names}: {rule}"'


def _whole_key(table: Table, column: Column[object]) -> bool:
    return [member.name for member in table.primary_key.columns] == [column.name]
