"""Which of two models the promotion policy finds better, and which metrics it may be told to look at."""

import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from slm_registry.domain.promotion import Candidate, Policy, judge
from slm_registry.settings import RegistrySettings


def is_promoted(metric: str, *, mine: float, theirs: float) -> bool:
    candidate = Candidate(
        name="commands-v2",
        scores={"held-out-v1": {metric: mine}},
        rival="commands-v1",
        rival_scores={"held-out-v1": {metric: theirs}},
        regressed_metrics=frozenset(),
        problems=(),
    )
    return all(condition.holds for condition in judge(Policy(metric, min_delta=0.5), candidate))


@pytest.mark.parametrize(
    "metric",
    [
        "loss", "perplexity", "latency_ms_p50", "latency_ms_p95", "memory_bytes", "peak_memory_bytes",
        "cost_per_1k_tokens", "answer_bits.bits_per_byte", "wikitext.word_perplexity",
    ],
)  # fmt: skip
def test_less_is_promoted_where_lower_is_better(metric: str) -> None:
    assert is_promoted(metric, mine=1.0, theirs=2.0)
    assert not is_promoted(metric, mine=2.0, theirs=1.0)


@pytest.mark.parametrize("metric", ["quality_score", "tokens_per_s", "chrf", "gsm8k.exact_match.strict-match"])
def test_more_is_promoted_where_higher_is_better(metric: str) -> None:
    assert is_promoted(metric, mine=2.0, theirs=1.0)
    assert not is_promoted(metric, mine=1.0, theirs=2.0)


@pytest.mark.parametrize("metric", ["memory", "Loss", "quality-score", "", "gsm8k.beauty", ".acc", "gsm8k."])
def test_a_metric_that_nobody_knows_is_refused_at_the_start(metric: str) -> None:
    with pytest.raises(ValidationError, match="is not a known metric"):
        RegistrySettings(promotion_metric=metric)


@pytest.mark.parametrize("metric", ["peak_memory_bytes", "hellaswag.acc_norm", "gsm8k.exact_match.strict-match"])
def test_every_known_metric_may_decide(metric: str) -> None:
    assert RegistrySettings(promotion_metric=metric).promotion_policy.metric == metric


def test_a_service_with_a_wrong_setting_says_which_one_and_ends() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "slm_registry"],
        env=os.environ | {"SLM_REGISTRY_PROMOTION_METRIC": "memory"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert "'memory' is not a known metric; known are loss, perplexity" in ended.stderr
    assert "promotion_metric" in ended.stderr
    assert "Traceback" not in ended.stderr
