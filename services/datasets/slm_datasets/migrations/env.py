"""Alembic's entry point."""

from slm_datasets.tables import Base
from slm_shared.storage.migrations import run

run(Base.metadata)
