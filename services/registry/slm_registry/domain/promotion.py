"""When `champion` may move: every condition of the policy holds, each with the evidence it was decided on."""

from collections.abc import Mapping
from dataclasses import dataclass

from slm_shared.metrics import lower_is_better


@dataclass(frozen=True)
class Policy:
    """What a champion must show: to be better than the champion before by `min_delta` of `metric`, where both were
    measured on the same rows (without a champion: than its base); no regression; intact files.
    """

    metric: str
    min_delta: float
    forbid_regressions: bool = True


@dataclass(frozen=True)
class Candidate:
    """What is known of a model that may become champion, and of the one it is compared with.

    Scores are metrics by dataset. `problems` are those of its files.
    """

    name: str
    scores: Mapping[str, Mapping[str, float]]
    rival: str | None
    rival_scores: Mapping[str, Mapping[str, float]]
    regressed_metrics: frozenset[str]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Condition:
    """One condition of the policy: whether it holds, and what was found; kept in the history of the alias."""

    condition: str
    holds: bool
    finding: str


def judge(policy: Policy, candidate: Candidate) -> list[Condition]:
    """Every condition of the policy."""
    conditions = [_is_better(policy, candidate)]
    if policy.forbid_regressions:
        conditions.append(_has_not_regressed(candidate))
    return [*conditions, _is_intact(candidate)]


def _is_better(policy: Policy, candidate: Candidate) -> Condition:
    name, metric = "better", policy.metric
    if not any(metric in scores for scores in candidate.scores.values()):
        return Condition(name, False, f"{candidate.name} has no {metric} on any dataset.")
    if candidate.rival is None:
        return Condition(name, True, "There is nothing to compare it with.")
    shared = [
        (dataset, scores[metric], candidate.rival_scores[dataset][metric])
        for dataset, scores in sorted(candidate.scores.items())
        if metric in scores and metric in candidate.rival_scores.get(dataset, {})
    ]
    if not shared:
        return Condition(name, False, f"{candidate.name} and {candidate.rival} have no {metric} on the same dataset.")
    sign = -1 if lower_is_better(metric) else 1
    gains = [(dataset, sign * (mine - theirs), mine, theirs) for dataset, mine, theirs in shared]
    dataset, gain, mine, theirs = min(gains, key=lambda each: each[1])
    finding = f"{metric} on {dataset}: {mine:.6g}, {candidate.rival} has {theirs:.6g}; a gain of {gain:.6g}"
    return Condition(name, gain >= policy.min_delta, f"{finding}, {policy.min_delta:.6g} is asked for.")


def _has_not_regressed(candidate: Candidate) -> Condition:
    if not candidate.regressed_metrics:
        return Condition("not_regressed", True, "No regression was found.")
    metrics = ", ".join(sorted(candidate.regressed_metrics))
    return Condition("not_regressed", False, f"It is worse than the version before it in {metrics}.")


def _is_intact(candidate: Candidate) -> Condition:
    if candidate.problems:
        return Condition("intact", False, " ".join(candidate.problems))
    return Condition("intact", True, "Every file has the hash of its signed manifest.")
