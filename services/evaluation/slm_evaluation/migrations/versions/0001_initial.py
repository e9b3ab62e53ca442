"""Evaluations and the projection of models."""

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
        "model",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("artifact_prefix", sa.Text, nullable=False),
        sa.Column("manifest_key", sa.Text, nullable=False),
        sa.Column("manifest_sha256", sa.Text, nullable=False),
    )
    op.create_table(
        "evaluation",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("model_id", sa.Uuid, nullable=False),
        sa.Column("dataset_id", sa.Uuid, nullable=False),
        sa.Column("settings_hash", sa.Text, nullable=False),
        sa.Column("model", JSONB, nullable=False),
        sa.Column("dataset", JSONB, nullable=False),
        sa.Column("settings", JSONB, nullable=False),
        sa.Column("experiment_id", sa.Uuid),
        sa.Column("baseline_evaluation_id", sa.Uuid),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("done_rows", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("rows", sa.BigInteger),
        sa.Column("metrics", JSONB, nullable=False, server_default="{}"),
        sa.Column("samples", JSONB, nullable=False, server_default="[]"),
        sa.Column("predictions_key", sa.Text),
        sa.Column("error", JSONB),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.text("clock_timestamp()")),
        sa.Column("started_at", MOMENT),
        sa.Column("completed_at", MOMENT),
        sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("worker", sa.Text),
        sa.Column("claim_id", sa.Uuid),
        sa.Column("lease_expires_at", MOMENT),
        sa.Column("retry_at", MOMENT),
        sa.UniqueConstraint("model_id", "dataset_id", "settings_hash"),
    )
    op.create_index("ix_evaluation_newest", "evaluation", ["created_at", "id"])
    op.create_index("ix_evaluation_status", "evaluation", ["status", "created_at"])
