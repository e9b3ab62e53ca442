"""A journal of what happened, the lineage that is drawn from it, and signatures of artifacts.

What is known so far is entered into the journal; the service draws the lineage at its next start.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0004"
down_revision = "0003"

MOMENT = TIMESTAMP(timezone=True)
NOW = sa.text("clock_timestamp()")
KNOWN = """
INSERT INTO fact (subject, model_id, at, emitted_at, body)
SELECT subject, model_id, at, at, body FROM (
  SELECT 'dataset.processed' AS subject, NULL::uuid AS model_id, to_timestamp(0) AS at, id, jsonb_build_object(
    'dataset_id', id, 'name', name, 'rows', rows, 'row_format', row_format, 'sha256', sha256) AS body FROM dataset
  UNION ALL
  SELECT 'model.registered', id, created_at, id, jsonb_build_object(
    'model_id', id, 'name', name, 'kind', kind, 'base_model', base_model, 'experiment_id', experiment_id,
    'run_id', run_id, 'run_name', run_name, 'training_dataset', training_dataset,
    'evaluation_dataset', evaluation_dataset, 'manifest_sha256', manifest_sha256) FROM model
  UNION ALL
  SELECT 'evaluation.completed', model_id, completed_at, id, jsonb_build_object(
    'evaluation_id', id, 'model_id', model_id, 'model_name', model_name, 'dataset_id', dataset_id,
    'dataset_name', dataset_name, 'rows', rows, 'metrics', metrics) FROM evaluation
  UNION ALL
  SELECT 'alias.moved', model_id, moved_at, (SELECT id FROM model WHERE model.id = alias.model_id), jsonb_build_object(
    'family', family, 'alias', name, 'model_id', model_id, 'previous_model_id', NULL, 'by', 'registry',
    'reason', 'registered') FROM alias
) AS known ORDER BY at, id
"""


def upgrade() -> None:
    """Create the tables and enter what is known."""
    op.add_column("model", sa.Column("signature", sa.Text))
    op.create_table(
        "fact",
        sa.Column("seq", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("model_id", sa.Uuid),
        sa.Column("at", MOMENT, nullable=False, server_default=NOW),
        sa.Column("body", JSONB, nullable=False),
        sa.Column("emitted_at", MOMENT),
    )
    op.create_index("ix_fact_of_model", "fact", ["model_id", "seq"])
    op.create_index("ix_fact_not_emitted", "fact", ["seq"], postgresql_where=sa.text("emitted_at IS NULL"))
    op.create_table(
        "lineage_node",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_index("ix_lineage_node_name", "lineage_node", ["type", "name"])
    op.create_table(
        "lineage_edge",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("target", sa.Text, primary_key=True),
        sa.Column("relation", sa.Text, primary_key=True),
        sa.Column("at", MOMENT, primary_key=True),
        sa.Column("until", MOMENT),
    )
    op.create_index("ix_lineage_edge_target", "lineage_edge", ["target", "at"])
    op.create_table(
        "projection",
        sa.Column("only_row", sa.Boolean, primary_key=True, server_default="true"),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.execute("INSERT INTO projection (version) VALUES (0)")
    op.execute(KNOWN)
