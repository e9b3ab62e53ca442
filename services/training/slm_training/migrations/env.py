"""Alembic's entry point."""

from slm_shared.migrations import run
from slm_training.tables import Base

run(Base.metadata)
