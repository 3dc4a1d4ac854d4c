"""Alembic's entry: runs the steps on the connection and in the transaction of `controlplane.store.migrate`."""

from alembic import context

from controlplane.store.tables import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("Migrations run through the Hub: `hub migrate`.")

context.configure(
    connection=connection,
    target_metadata=metadata,
    on_version_apply=context.config.attributes.get("on_version_apply"),
)
context.run_migrations()
