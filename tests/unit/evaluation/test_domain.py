"""Rules of evaluations: states, retries, exact match, percentiles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slm_evaluation.domain import (
    MAX_ATTEMPTS,
    EvaluationStatus,
    cost_per_1k_tokens,
    derived,
    is_exact,
    is_retried,
    percentile,
    quality_score,
    statuses_before,
)

VALUES = st.lists(st.floats(allow_nan=False), min_size=1, max_size=50)
SHARES = st.floats(min_value=0, max_value=1, exclude_min=True)


@pytest.mark.parametrize(
    ("target", "sources"),
    [
        ("queued", {"running"}),
        ("running", {"queued"}),
        ("completed", {"running"}),
        ("failed", {"running"}),
        ("cancelled", {"queued", "running"}),
    ],
)
def test_a_status_is_reached_from_these_alone(target: str, sources: set[str]) -> None:
    assert statuses_before(EvaluationStatus(target)) == sources


def test_what_has_ended_stays_ended() -> None:
    left = frozenset[EvaluationStatus]().union(*(statuses_before(status) for status in EvaluationStatus))
    assert left == {EvaluationStatus.QUEUED, EvaluationStatus.RUNNING}


@pytest.mark.parametrize(
    ("blame", "retry", "attempt", "again"),
    [
        ("infra", True, 1, True),
        ("system", True, MAX_ATTEMPTS - 1, True),
        ("infra", True, MAX_ATTEMPTS, False),
        ("system", True, MAX_ATTEMPTS + 1, False),
        ("infra", False, 1, False),
        ("system", False, 1, False),
        ("user", True, 1, False),
        ("user", False, 1, False),
    ],
)
def test_only_what_may_pass_is_tried_again(blame: str, retry: bool, attempt: int, again: bool) -> None:
    assert is_retried(blame=blame, retry=retry, attempt=attempt) is again


@pytest.mark.parametrize(
    ("expected", "generated", "exact"),
    [
        ("yes", "yes", True),
        ("yes", "  yes\n", True),
        ("\tyes ", "yes", True),
        ("", " \n", True),
        ("yes", "Yes", False),
        ("yes", "yes.", False),
        ("a b", "a  b", False),
        ('{"a": 1}', '{"a":1}', False),
        ("yes", "", False),
    ],
)
def test_exact_means_the_same_text_between_white_space(expected: str, generated: str, exact: bool) -> None:
    assert is_exact(expected, generated) is exact


@pytest.mark.parametrize(
    ("share", "value"), [(0.05, 15), (0.3, 20), (0.4, 20), (0.5, 35), (0.95, 50), (1.0, 50), (0.0, 15)]
)
def test_percentiles_are_of_the_nearest_rank(share: float, value: float) -> None:
    assert percentile([50, 15, 40, 20, 35], share) == value


@given(VALUES, SHARES)
def test_a_percentile_is_the_smallest_value_that_covers_its_share(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


@given(VALUES, SHARES, SHARES)
def test_percentiles_grow_with_their_share(values: list[float], one: float, other: float) -> None:
    assert percentile(values, min(one, other)) <= percentile(values, max(one, other))


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_quality_is_the_mean_of_what_was_measured() -> None:
    assert quality_score({"token_accuracy": 0.5, "exact_match": 0.25, "chrf": 75.0, "bleu": 3.0}) == 0.5
    assert quality_score({"loss": 1.0}) is None


def test_cost_follows_from_price_and_rate() -> None:
    # 3.60 an hour is a thousandth of a unit per second; 100 tokens per second need ten seconds for a thousand.
    assert cost_per_1k_tokens({"tokens_per_s": 100.0}, 3.6) == pytest.approx(0.01)
    assert cost_per_1k_tokens({"tokens_per_s": 100.0}, None) is None
    assert cost_per_1k_tokens({"loss": 1.0}, 3.6) is None
    assert derived({"tokens_per_s": 100.0, "exact_match": 1.0}, hourly_price=0.0) == {
        "quality_score": 1.0,
        "cost_per_1k_tokens": 0.0,
    }
