"""The audit log."""

from slm_shared.storage.audit import create_audit_tables

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create it."""
    create_audit_tables()
