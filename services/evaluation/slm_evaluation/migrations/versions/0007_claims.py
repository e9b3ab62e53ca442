"""Every claim looks for what it was granted before."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the index that finds it without reading every evaluation."""
    op.create_index("ix_evaluation_claim", "evaluation", ["claim_id"])
