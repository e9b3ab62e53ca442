"""Plans are rows of their own."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0005"
down_revision = "0004"

MOMENT = TIMESTAMP(timezone=True)
NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    """Move the plans out of the runs, with the leases that trainers hold of them."""
    columns = _plan_columns()
    op.create_table("plan", *columns)
    op.create_index("ix_plan_state", "plan", ["state", "created_at"])
    op.create_index("ix_plan_claim", "plan", ["claim_id"])
    op.create_index("ix_run_claim", "run", ["claim_id"])
    names = ", ".join(column.name for column in columns)
    op.execute(f"INSERT INTO plan ({names}) SELECT {names} FROM run WHERE purpose = 'plan'")
    for table in ("attempt", "transition"):
        op.execute(f"DELETE FROM {table} USING plan WHERE run_id = plan.id")
    op.execute("DELETE FROM run WHERE purpose = 'plan'")
    op.drop_column("run", "purpose")
    op.drop_column("run", "report")


def _plan_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("pool", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("base_model", JSONB, nullable=False),
        sa.Column("training_dataset", JSONB, nullable=False),
        sa.Column("evaluation_dataset", JSONB),
        sa.Column("config", JSONB, nullable=False),
        sa.Column("request", JSONB),
        sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
        sa.Column("needs", JSONB, nullable=False, server_default="{}"),
        sa.Column("queued_at", MOMENT),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("total_failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created_at", MOMENT, nullable=False, server_default=NOW),
        sa.Column("started_at", MOMENT),
        sa.Column("completed_at", MOMENT),
        sa.Column("error", JSONB),
        sa.Column("report", JSONB),
        sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("worker", sa.Text),
        sa.Column("claim_id", sa.Uuid),
        sa.Column("lease_expires_at", MOMENT),
        sa.Column("retry_at", MOMENT),
    ]
