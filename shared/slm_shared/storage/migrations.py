"""What every service's Alembic folder shares.

A service's `migrations/env.py` is two lines (`run(Base.metadata)`), and its first revision calls
`create_delivery_tables()`: outbox, inbox, dead letters and idempotency keys are the same everywhere.
"""

from alembic import context, op
from sqlalchemy import Connection, MetaData

from slm_shared.storage.database import delivery_metadata


def create_delivery_tables() -> None:
    """Create the tables that delivery needs, as of their first version."""
    delivery_metadata.create_all(op.get_bind(), checkfirst=False)


def run(metadata: MetaData) -> None:
    """Run the migrations on the connection that `slm_shared.migrate` opened."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection, target_metadata=[metadata, delivery_metadata], transaction_per_migration=False
    )
    with context.begin_transaction():
        context.run_migrations()
