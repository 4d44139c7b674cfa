"""What alembic runs: our connection, in our transaction."""

from alembic import context

from auralink.engine.stores.database.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
