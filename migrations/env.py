"""How Alembic runs here: on the connection, and in the transaction, that `llm_backend.storage.schema` opened."""

from alembic import context

from llm_backend.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite changes most columns only by building the table anew.
    render_as_batch=True,
    transactional_ddl=True,
    transaction_per_migration=False,
)
context.run_migrations()
