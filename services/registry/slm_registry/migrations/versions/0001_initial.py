"""Models, families, and the projections that cards tell of."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from slm_shared.storage.migrations import create_delivery_tables

revision = "0001"
down_revision = None

MOMENT = TIMESTAMP(timezone=True)
NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    """Create everything."""
    create_delivery_tables()
    op.create_table(
        "family",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("last_version", sa.Integer, nullable=False),
    )
    op.create_table(
        "model",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("family", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("base_model", JSONB),
        sa.Column("experiment_id", sa.Uuid, unique=True),
        sa.Column("run_id", sa.Uuid),
        sa.Column("run_name", sa.Text),
        sa.Column("goal", sa.Text),
        sa.Column("method", sa.Text),
        sa.Column("training_dataset", JSONB),
        sa.Column("evaluation_dataset", JSONB),
        sa.Column("artifact_prefix", sa.Text, nullable=False),
        sa.Column("manifest_key", sa.Text, nullable=False),
        sa.Column("manifest_sha256", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("parameter_count", sa.BigInteger, nullable=False),
        sa.Column("architecture", JSONB, nullable=False),
        sa.Column("config", JSONB, nullable=False),
        sa.Column("steps", sa.Integer),
        sa.Column("train_loss", sa.Float),
        sa.Column("eval_loss", sa.Float),
        sa.Column("duration_s", sa.Float),
        sa.Column("created_at", MOMENT, nullable=False, server_default=NOW),
        sa.UniqueConstraint("family", "version"),
    )
    op.create_index("ix_model_newest", "model", ["created_at", "id"])
    op.create_table(
        "dataset",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("row_format", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
    )
    op.create_table(
        "evaluation",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("model_id", sa.Uuid, nullable=False, index=True),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("dataset_id", sa.Uuid, nullable=False),
        sa.Column("dataset_name", sa.Text, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("metrics", JSONB, nullable=False),
        sa.Column("completed_at", MOMENT, nullable=False, server_default=NOW),
    )
