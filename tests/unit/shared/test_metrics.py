"""What the platform knows of metrics: names, directions, and the page that defines them."""

import ast
import doctest
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from slm_shared import metrics

DOCS = Path(__file__).parents[3] / "docs"


def test_examples_in_docstrings_hold() -> None:
    assert doctest.testmod(metrics).failed == 0


@pytest.mark.parametrize("name", metrics.METRICS)
def test_the_docs_define_every_metric(name: str) -> None:
    page = (DOCS / "metrics.md").read_text()
    assert re.search(rf"^(\| .*`{name}`|## {name}$)", page, re.MULTILINE)


def test_the_directions_of_suites_are_those_of_lm_eval() -> None:
    """Read, not imported: importing it takes seconds."""
    spec = find_spec("lm_eval")
    assert spec is not None
    assert spec.origin is not None
    source = ast.parse((Path(spec.origin).parent / "api" / "metrics.py").read_text())
    calls = [each for each in ast.walk(source) if isinstance(each, ast.Call)]
    declared = [
        {each.arg: ast.unparse(each.value) for each in call.keywords}
        for call in calls
        if ast.unparse(call.func) == "register_metric"
    ]
    directions = {ast.literal_eval(each["metric"]): each["higher_is_better"] == "False" for each in declared}
    assert directions.pop("bypass") is False  # a placeholder that measures nothing
    assert directions == metrics.SUITE_METRICS


@pytest.mark.parametrize("name", ["quality_score", "cost_per_1k_tokens", "memory", "gsm8k.acc"])
def test_what_is_not_measured_cannot_be_asked_for(name: str) -> None:
    with pytest.raises(metrics.UnknownMetricError, match="must be one of loss,"):
        metrics.measured(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mmlu.v2.acc", False), ("my.task.word_perplexity", True), ("gsm8k.exact_match.flexible-extract", False)],
)
def test_metrics_of_suites_stand_behind_the_name_of_their_task(name: str, expected: bool) -> None:
    assert metrics.lower_is_better(name) is expected


@pytest.mark.parametrize("name", ["acc", "gsm8k", "gsm8k.acc.a.b", "gsm8k.", ".acc", "task.loss"])
def test_other_names_are_not_known(name: str) -> None:
    with pytest.raises(metrics.UnknownMetricError, match="is not a known metric"):
        metrics.lower_is_better(name)
