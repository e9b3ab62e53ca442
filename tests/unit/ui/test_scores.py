"""What the console says of metrics is what the platform knows of them."""

import pytest

from slm_shared import metrics
from slm_ui.components.scores import lower_is_better

SUITE_METRICS = [f"task.{name}{filtered}" for name in metrics.SUITE_METRICS for filtered in ("", ".strict-match")]


@pytest.mark.parametrize("name", [*metrics.METRICS, *SUITE_METRICS])
def test_the_console_knows_which_value_is_better(name: str) -> None:
    assert lower_is_better(name) is metrics.lower_is_better(name)
