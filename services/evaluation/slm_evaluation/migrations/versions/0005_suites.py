"""What a benchmark suite says beside its numbers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add it; evaluations without a suite have none."""
    op.add_column("evaluation", sa.Column("report", JSONB))
