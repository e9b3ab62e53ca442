"""The audit log."""

from slm_shared.storage.audit import create_audit_tables

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create it."""
    create_audit_tables()
