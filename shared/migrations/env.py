"""Alembic runs on the connection that `shared.database.migrate` holds."""

from alembic import context

from shared.models import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
)
context.run_migrations()
