"""Datasets and the versions of their families."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from slm_shared.storage.migrations import create_delivery_tables

revision = "0001"
down_revision = None

MOMENT = TIMESTAMP(timezone=True)


def upgrade() -> None:
    """Create everything."""
    create_delivery_tables()
    op.create_table(
        "family",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("last_version", sa.Integer, nullable=False),
    )
    op.create_table(
        "dataset",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("family", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("usage", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("prompt_column", sa.Text),
        sa.Column("completion_column", sa.Text),
        sa.Column("data_type", sa.Text),
        sa.Column("row_format", sa.Text),
        sa.Column("mapping", JSONB, nullable=False),
        sa.Column("columns", JSONB, nullable=False),
        sa.Column("rows", sa.BigInteger),
        sa.Column("object_key", sa.Text),
        sa.Column("canonical_sha256", sa.Text),
        sa.Column("error", JSONB),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.text("clock_timestamp()")),
        sa.Column("processed_at", MOMENT),
        sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("worker", sa.Text),
        sa.Column("claim_id", sa.Uuid),
        sa.Column("lease_expires_at", MOMENT),
        sa.Column("retry_at", MOMENT),
        sa.UniqueConstraint("family", "version"),
    )
    op.create_index("ix_dataset_newest", "dataset", ["created_at", "id"])
    op.create_index("ix_dataset_status", "dataset", ["status", "created_at"])
