"""The registry's signature of each model's artifact."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add it; models that were announced before have none."""
    op.add_column("model", sa.Column("signature", sa.Text))
