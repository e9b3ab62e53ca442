"""Drafts, priorities, plans, workers, timelines, metrics of checkpoints, and what lists are read by."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0004"
down_revision = "0003"

MOMENT = TIMESTAMP(timezone=True)
NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    """Add tables, columns and indexes."""
    _extend_runs()
    op.add_column("checkpoint", sa.Column("metrics", JSONB, nullable=False, server_default="{}"))
    op.create_table(
        "transition",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("run_id", sa.Uuid, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("at", MOMENT, nullable=False, server_default=NOW),
    )
    op.create_index("ix_transition_run", "transition", ["run_id", "id"])
    op.create_table(
        "worker",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("pool", sa.Text, nullable=False),
        sa.Column("capabilities", JSONB, nullable=False),
        sa.Column("first_seen_at", MOMENT, nullable=False, server_default=NOW),
        sa.Column("last_seen_at", MOMENT, nullable=False, server_default=NOW),
    )
    op.create_table(
        "metric_extremes",
        sa.Column("experiment_id", sa.Uuid, primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("bucket", sa.BigInteger, primary_key=True),
        sa.Column("min_step", sa.BigInteger, nullable=False),
        sa.Column("min_value", sa.Float, nullable=False),
        sa.Column("max_step", sa.BigInteger, nullable=False),
        sa.Column("max_value", sa.Float, nullable=False),
    )
    op.create_index("ix_log_line_place", "log_line", ["experiment_id", "seq"])


def _extend_runs() -> None:
    for column in (
        sa.Column("purpose", sa.Text, nullable=False, server_default="train"),
        sa.Column("request", JSONB),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("tags", JSONB, nullable=False, server_default="[]"),
        sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
        sa.Column("needs", JSONB, nullable=False, server_default="{}"),
        sa.Column("origin", JSONB),
        sa.Column("plan_id", sa.Uuid),
        sa.Column("chosen", JSONB),
        sa.Column("report", JSONB),
        sa.Column("queued_at", MOMENT),
    ):
        op.add_column("run", column)
    op.execute("UPDATE run SET queued_at = created_at")
    op.create_index("ix_run_tags", "run", ["tags"], postgresql_using="gin")
    op.create_index("ix_run_queue", "run", ["pool", "priority", "created_at"])
    op.execute("CREATE INDEX ix_run_training_dataset ON run ((training_dataset ->> 'id'), created_at, id)")
    op.execute("CREATE INDEX ix_run_evaluation_dataset ON run ((evaluation_dataset ->> 'id'), created_at, id)")
    op.execute("CREATE INDEX ix_run_base_model ON run ((base_model ->> 'id'), created_at, id)")
    op.execute("CREATE INDEX ix_run_name ON run (name, id)")
    op.execute("CREATE INDEX ix_run_completed ON run (coalesce(completed_at, '-infinity'), id)")
    op.execute(
        "CREATE INDEX ix_run_eval_loss ON run (coalesce((result ->> 'eval_loss')::double precision, 'Infinity'), id)"
    )
