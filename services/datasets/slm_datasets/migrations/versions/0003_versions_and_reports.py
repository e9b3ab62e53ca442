"""Origins and parents, how a file is read, problems and profiles, examinations, use by runs, and uploads in parts."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

revision = "0003"
down_revision = "0002"

MOMENT = TIMESTAMP(timezone=True)
THERE = sa.text("status <> 'deleted'")
LEASE: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    ("epoch", sa.Integer, {"nullable": False, "server_default": "0"}),
    ("attempt", sa.Integer, {"nullable": False, "server_default": "0"}),
    ("worker", sa.Text, {}),
    ("claim_id", sa.Uuid, {}),
    ("lease_expires_at", MOMENT, {}),
    ("retry_at", MOMENT, {}),
)


def upgrade() -> None:
    """Create everything and fill what is known of older datasets."""
    _extend_dataset()
    _create_job()
    op.create_table(
        "run_use",
        sa.Column("run_id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text),
        sa.Column("dataset_ids", ARRAY(sa.Uuid), nullable=False),
        sa.Column("has_ended", sa.Boolean, nullable=False),
    )
    op.create_index("ix_run_use_datasets", "run_use", ["dataset_ids"], postgresql_using="gin")
    op.create_table(
        "upload",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("fields", JSONB, nullable=False),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text),
        sa.Column("part_bytes", sa.BigInteger, nullable=False),
        sa.Column("multipart_id", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.text("clock_timestamp()")),
        sa.Column("expires_at", MOMENT, nullable=False),
    )
    op.create_index("ix_upload_open", "upload", ["expires_at"], postgresql_where=sa.text("status = 'open'"))


def _extend_dataset() -> None:
    for column in (
        sa.Column("origin", sa.Text, nullable=False, server_default="uploaded"),
        sa.Column("parents", JSONB, nullable=False, server_default="[]"),
        sa.Column("compression", sa.Text),
        sa.Column("reading", JSONB, nullable=False, server_default="{}"),
        sa.Column("derived", JSONB),
        sa.Column("source_format", sa.Text),
        sa.Column("suggested_mapping", JSONB, nullable=False, server_default="{}"),
        sa.Column("untrainable_because", sa.Text),
        sa.Column("skipped_rows", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("dialect", JSONB),
        sa.Column("canonical_size_bytes", sa.BigInteger),
        sa.Column("problems", JSONB),
        sa.Column("profile", JSONB),
        sa.Column("progress", JSONB),
        sa.Column("name_grams", ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("deleted_at", MOMENT),
        sa.Column("swept_at", MOMENT),
    ):
        op.add_column("dataset", column)
    op.execute(
        """
        UPDATE dataset SET
          reading = jsonb_build_object('mapping', jsonb_strip_nulls(
            jsonb_build_object('prompt', prompt_column, 'completion', completion_column))),
          deleted_at = CASE WHEN status = 'deleted' THEN clock_timestamp() END,
          name_grams = COALESCE((SELECT array_agg(DISTINCT substr(name, place, 3))
            FROM generate_series(1, length(name) - 2) AS place), '{}')
        """
    )
    for name in ("created_at", "name", "size_bytes"):
        op.create_index(f"ix_dataset_by_{name}", "dataset", [name, "id"], postgresql_where=THERE)
    op.create_index("ix_dataset_by_rows", "dataset", [sa.text("coalesce(rows, 0)"), "id"], postgresql_where=THERE)
    for name in ("usage", "family", "owner", "origin", "data_type", "row_format", "sha256"):
        op.create_index(f"ix_dataset_of_{name}", "dataset", [name, "created_at", "id"], postgresql_where=THERE)
    op.create_index("ix_dataset_grams", "dataset", ["name_grams"], postgresql_using="gin")
    to_sweep = sa.text("deleted_at IS NOT NULL AND swept_at IS NULL")
    op.create_index("ix_dataset_to_sweep", "dataset", ["deleted_at"], postgresql_where=to_sweep)


def _create_job() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("dataset_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("params", JSONB, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("progress", JSONB),
        sa.Column("result", JSONB),
        sa.Column("error", JSONB),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.text("clock_timestamp()")),
        sa.Column("finished_at", MOMENT),
        *(sa.Column(name, kind, **more) for name, kind, more in LEASE),
        sa.UniqueConstraint("dataset_id", "kind", "key"),
    )
    waiting = sa.text("status = 'queued'")
    op.create_index("ix_job_waiting", "job", ["created_at", "id"], postgresql_where=waiting)
    op.create_index("ix_job_newest", "job", ["dataset_id", "kind", "created_at", "id"])
