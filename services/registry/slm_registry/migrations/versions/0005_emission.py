"""Until when one process alone may send facts to an OpenLineage backend."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table with its one row."""
    op.create_table(
        "emission",
        sa.Column("only_row", sa.Boolean, primary_key=True, server_default="true"),
        sa.Column("claim_expires_at", TIMESTAMP(timezone=True)),
    )
    op.execute("INSERT INTO emission DEFAULT VALUES")
