"""Alembic's entry point."""

from slm_registry.tables import Base
from slm_shared.storage.migrations import run

run(Base.metadata)
