"""Checkpoints of runs, and where each attempt went on."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the table and the columns."""
    op.create_table(
        "checkpoint",
        sa.Column("run_id", sa.Uuid, primary_key=True),
        sa.Column("step", sa.BigInteger, primary_key=True),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("manifest_sha256", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", TIMESTAMP(timezone=True), nullable=False, server_default=sa.text("clock_timestamp()")),
    )
    op.add_column("attempt", sa.Column("resumed_from_step", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("run", sa.Column("total_failures", sa.Integer, nullable=False, server_default="0"))
