"""Paired differences and their bootstrap intervals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slm_evaluation.service.comparing import Difference, bootstrap, differences, verdict
from slm_evaluation.service.predictions import PredictionsIndex

ROWS = 300


def ones(values: list[float]) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(values, dtype=np.float64), np.ones(len(values))


def test_a_difference_beyond_chance_leaves_zero_out() -> None:
    random = np.random.default_rng(1)
    noise = random.normal(0, 1, ROWS)
    before, after = noise, noise + 0.1 + random.normal(0, 0.1, ROWS)
    found = bootstrap((before, np.ones(ROWS)), (after, np.ones(ROWS)))
    # Paired: the spread of the rows themselves (1.0) cancels out, that of the differences (0.1) is what remains.
    assert 0.07 < found.low < found.high < 0.13
    assert found.second - found.first == pytest.approx(0.1, abs=0.02)
    assert (verdict("exact_match", found), verdict("loss", found)) == ("better", "worse")


def test_a_difference_within_chance_is_none() -> None:
    random = np.random.default_rng(2)
    found = bootstrap(ones(list(random.normal(0, 1, ROWS))), ones(list(random.normal(0, 1, ROWS))))
    assert found.low < 0 < found.high
    assert verdict("loss", found) == "same"


def test_ratios_are_weighted_by_tokens() -> None:
    sums, weights = np.array([10.0, 1.0]), np.array([5.0, 1.0])
    found = bootstrap((sums, weights), (sums * 2, weights))
    assert (found.first, found.second) == (11 / 6, 22 / 6)


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=40), st.integers(0, 5))
def test_the_interval_follows_from_the_seed_and_turns_with_the_sides(values: list[float], seed: int) -> None:
    one, other = ones(values), ones(values[::-1])
    found = bootstrap(one, other, resamples=200, seed=seed)
    assert found == bootstrap(one, other, resamples=200, seed=seed)
    turned = bootstrap(other, one, resamples=200, seed=seed)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-9)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        differences = random.normal(0.2, 1, 100)
        found = bootstrap(ones([0.0] * 100), (differences, np.ones(100)), resamples=400)
        covered += found.low <= 0.2 <= found.high
    assert 178 <= covered <= 199


def test_no_spread_is_no_doubt() -> None:
    found = bootstrap(ones([1.0, 1.0]), ones([0.5, 0.5]))
    assert found == Difference(1.0, 0.5, -0.5, -0.5, 2)
    assert verdict("loss", found) == "better"


def index(*rows: int, answered: int) -> PredictionsIndex:
    """An index of rows of two tokens each, the first ones with answers."""
    ones, scores = [1.0] * len(rows), [1.0] * answered
    columns = {"row": list(rows), "loss": ones, "right": ones, "tokens": [2.0] * len(rows), "exact_match": scores}
    return PredictionsIndex.model_validate({"format": "slm-predictions/1", "answered": answered, "columns": columns})


def test_a_metric_is_compared_on_the_rows_that_both_have() -> None:
    found = differences(index(0, 1, 2, answered=2), index(1, 2, 3, answered=1))
    assert {name: each.rows for name, each in found.items()} == {
        "loss": 2, "token_accuracy": 2, "exact_match": 1,
    }  # fmt: skip
    assert (found["loss"].first, found["exact_match"].first) == (0.5, 1.0)


def test_evaluations_that_share_no_row_have_no_differences() -> None:
    assert differences(index(0, 1, answered=1), index(2, 3, answered=1)) == {}
