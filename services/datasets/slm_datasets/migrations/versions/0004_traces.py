"""Work remembers the trace of the request or event that asked for it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add it; work of an earlier version starts a trace of its own."""
    for table in ("dataset", "job"):
        op.add_column(table, sa.Column("traceparent", sa.String(55)))
