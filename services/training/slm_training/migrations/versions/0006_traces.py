"""Work remembers the trace of the request or event that asked for it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add it; work of an earlier version starts a trace of its own."""
    for table in ("run", "plan"):
        op.add_column(table, sa.Column("traceparent", sa.String(55)))
