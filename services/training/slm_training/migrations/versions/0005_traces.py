"""Work remembers the trace of the request or event that asked for it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add it; work of an earlier version starts a trace of its own."""
    op.add_column("run", sa.Column("traceparent", sa.String(55)))
