"""Alembic's entry: runs migrations on the connection it is given, inside the caller's transaction."""

from alembic import context
from sqlalchemy import Connection

from storage.tables import metadata

connection = context.config.attributes["connection"]
if not isinstance(connection, Connection):
    message = "migrations are run by storage.migrate, which hands over its connection"
    raise TypeError(message)
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
