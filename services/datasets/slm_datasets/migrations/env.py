"""Alembic's entry point."""

from slm_datasets.tables import Base
from slm_shared.migrations import run

run(Base.metadata)
