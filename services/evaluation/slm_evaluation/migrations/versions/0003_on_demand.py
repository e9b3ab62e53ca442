"""Evaluations on demand: who asked, cancelling, families and versions of models, datasets, indexes for each list."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"

SORTED = {
    "completed": "coalesce(completed_at, 'infinity'::timestamptz)",
    "model": "(model->>'name')",
    "dataset": "(dataset->>'name')",
    "loss": "coalesce((metrics->>'loss')::double precision, 'Infinity')",
    "exact_match": "coalesce((metrics->>'exact_match')::double precision, 'Infinity')",
    "quality": "coalesce((metrics->>'quality_score')::double precision, 'Infinity')",
}
FILTERED = ("model_id", "dataset_id", "experiment_id")


def upgrade() -> None:
    """Add them. Models that were announced before keep no family, and so have no predecessor."""
    op.add_column("model", sa.Column("family", sa.Text))
    op.add_column("model", sa.Column("version", sa.Integer))
    op.add_column("model", sa.Column("deleted", sa.Boolean, nullable=False, server_default="false"))
    op.create_index("ix_model_version", "model", ["family", "version"])
    op.create_index("ix_model_name", "model", ["name"])
    op.add_column("evaluation", sa.Column("owner", sa.Text))
    op.add_column("evaluation", sa.Column("cancel_requested", sa.Boolean, nullable=False, server_default="false"))
    op.create_table(
        "dataset",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, index=True),
        sa.Column("object_key", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("row_format", sa.Text, nullable=False),
        sa.Column("mapping", JSONB, nullable=False),
    )
    for name, expression in SORTED.items():
        op.execute(f"CREATE INDEX ix_evaluation_by_{name} ON evaluation (({expression}), id)")
    for name in FILTERED:
        op.create_index(f"ix_evaluation_of_{name}", "evaluation", [name, "created_at", "id"])
