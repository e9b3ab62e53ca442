"""The console's form is made of what the platform publishes."""

from pathlib import Path

from slm_training.schemas.config import render

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "services" / "ui" / "slm_ui" / "assets" / "run-config.json"


def test_the_committed_schema_of_a_configuration_is_the_published_one() -> None:
    told = f"run: python -m slm_training.schemas.config > {COMMITTED.relative_to(ROOT)}"
    assert COMMITTED.read_text() == render(), told
