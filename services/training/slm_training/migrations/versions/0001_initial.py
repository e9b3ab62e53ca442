"""Runs, attempts, dataset projection, metrics and log lines."""

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
        "run",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("experiment_id", sa.Uuid, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("family", sa.Text, nullable=False),
        sa.Column("goal", sa.Text),
        sa.Column("description", sa.Text),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("pool", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("base_model", JSONB, nullable=False),
        sa.Column("training_dataset", JSONB, nullable=False),
        sa.Column("evaluation_dataset", JSONB),
        sa.Column("config", JSONB, nullable=False),
        sa.Column("progress", JSONB, nullable=False, server_default="{}"),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created_at", MOMENT, nullable=False, server_default=NOW),
        sa.Column("started_at", MOMENT),
        sa.Column("completed_at", MOMENT),
        sa.Column("result", JSONB),
        sa.Column("error", JSONB),
        sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("worker", sa.Text),
        sa.Column("claim_id", sa.Uuid),
        sa.Column("lease_expires_at", MOMENT),
        sa.Column("retry_at", MOMENT),
    )
    op.create_index("ix_run_state", "run", ["state", "created_at"])
    op.create_index("ix_run_newest", "run", ["created_at", "id"])
    op.create_table(
        "attempt",
        sa.Column("run_id", sa.Uuid, primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("claimed_at", MOMENT, nullable=False, server_default=NOW),
        sa.Column("started_at", MOMENT),
        sa.Column("ended_at", MOMENT),
        sa.Column("outcome", sa.Text),
        sa.Column("code", sa.Text),
    )
    op.create_table(
        "dataset",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, index=True),
        sa.Column("family", sa.Text, nullable=False, index=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("row_format", sa.Text, nullable=False),
        sa.Column("mapping", JSONB, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("object_key", sa.Text, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False, server_default="false"),
    )
    op.create_table(
        "metric",
        sa.Column("experiment_id", sa.Uuid, primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("step", sa.BigInteger, primary_key=True),
        sa.Column("value", sa.Float),
        sa.Column("time", MOMENT, nullable=False),
    )
    op.create_table(
        "log_line",
        sa.Column("experiment_id", sa.Uuid, primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("batch", sa.Integer, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("seq", sa.BigInteger, sa.Identity(), nullable=False, index=True),
        sa.Column("time", MOMENT, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
    )
