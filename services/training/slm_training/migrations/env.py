"""Alembic's entry point."""

from slm_shared.storage.migrations import run
from slm_training.tables import Base

run(Base.metadata)
