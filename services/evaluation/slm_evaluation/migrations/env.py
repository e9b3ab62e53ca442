"""Alembic's entry point."""

from slm_evaluation.tables import Base
from slm_shared.migrations import run

run(Base.metadata)
