"""Descriptions and tags, aliases with their history, tombstones, usage, and an index for each way to list models."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0003"
down_revision = "0002"

MOMENT = TIMESTAMP(timezone=True)
NOW = sa.text("clock_timestamp()")
SEARCHED = """
to_tsvector('simple', name || ' ' || family || ' ' || coalesce(description, '') || ' ' || coalesce(goal, '') || ' ' ||
  coalesce(run_name, '') || ' ' || coalesce(method, '') || ' ' || coalesce(base_model->>'name', '') || ' ' ||
  coalesce(training_dataset->>'name', '') || ' ' || coalesce(evaluation_dataset->>'name', ''))
|| jsonb_to_tsvector('simple', tags, '["string"]')
"""
SORTED = {
    "name": "name",
    "family": "family",
    "version": "version",
    "kind": "kind",
    "size_bytes": "size_bytes",
    "parameter_count": "parameter_count",
    "train_loss": "coalesce(train_loss, 'Infinity')",
    "eval_loss": "coalesce(eval_loss, 'Infinity')",
    "method": "coalesce(method, '')",
    "base": "coalesce(base_model->>'name', '')",
    "dataset": "coalesce(training_dataset->>'name', '')",
    "duration": "coalesce(duration_s, 'Infinity')",
    "steps": "coalesce(steps, 2147483647)",
}


def upgrade() -> None:
    """Add them; every family's newest model becomes its `latest`."""
    op.add_column("model", sa.Column("description", sa.Text))
    op.add_column("model", sa.Column("tags", JSONB, nullable=False, server_default="[]"))
    op.add_column("model", sa.Column("revision", sa.Integer, nullable=False, server_default="1"))
    op.add_column("model", sa.Column("owner", sa.Text))
    op.add_column("model", sa.Column("deleted_at", MOMENT))
    op.execute(f"ALTER TABLE model ADD COLUMN search tsvector GENERATED ALWAYS AS ({SEARCHED}) STORED")
    op.execute("CREATE INDEX ix_model_search ON model USING gin (search)")
    op.execute("CREATE INDEX ix_model_tags ON model USING gin (tags jsonb_path_ops)")
    for name, expression in SORTED.items():
        op.execute(f"CREATE INDEX ix_model_by_{name} ON model (({expression}), id)")
    for name in ("base_model", "training_dataset", "evaluation_dataset"):
        op.execute(f"CREATE INDEX ix_model_{name}_id ON model (({name}->>'id'), created_at, id)")
    _create_aliases()
    _create_usage()


def _create_aliases() -> None:
    op.create_table(
        "alias",
        sa.Column("family", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("model_id", sa.Uuid, sa.ForeignKey("model.id"), nullable=False, index=True),
        sa.Column("moved_at", MOMENT, nullable=False, server_default=NOW),
    )
    op.create_table(
        "alias_move",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("family", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("model_id", sa.Uuid, sa.ForeignKey("model.id")),
        sa.Column("previous_model_id", sa.Uuid, sa.ForeignKey("model.id")),
        sa.Column("moved_at", MOMENT, nullable=False, server_default=NOW),
        sa.Column("moved_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", JSONB, nullable=False, server_default="[]"),
    )
    op.create_index("ix_alias_move_of_alias", "alias_move", ["family", "name", "id"])
    op.execute("""
        INSERT INTO alias (family, name, model_id)
        SELECT DISTINCT ON (family) family, 'latest', id FROM model ORDER BY family, version DESC""")
    op.execute("""
        INSERT INTO alias_move (family, name, model_id, moved_by, reason)
        SELECT family, name, model_id, 'registry', 'registered' FROM alias""")


def _create_usage() -> None:
    op.create_table(
        "usage",
        sa.Column("model_id", sa.Uuid, sa.ForeignKey("model.id"), primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("last_at", MOMENT, nullable=False, server_default=NOW),
    )
