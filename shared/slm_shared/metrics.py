"""Every metric that an evaluation may have: its name, unit and direction. docs/metrics.md defines each.

Standard library only, so that the rules of a service (`domain`) may use it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Group(StrEnum):
    """How a metric comes about: with the true tokens given, from generated answers, by the clock, or from others."""

    TEACHER_FORCED = "teacher_forced"
    ANSWERS = "answers"
    SPEED = "speed"
    DERIVED = "derived"


@dataclass(frozen=True)
class Metric:
    """One metric of the platform; `unit` is that of its values, `title` its name for people."""

    name: str
    title: str
    unit: str
    group: Group
    lower_is_better: bool = False


class UnknownMetricError(ValueError):
    """No metric of the platform or of a benchmark suite has this name, so nobody knows which values are better."""


_FRACTION, _PERCENT = "from 0 to 1", "from 0 to 100"
# In the order in which a model card shows them.
METRICS = {
    metric.name: metric
    for metric in (
        Metric("loss", "Loss", "nats per token", Group.TEACHER_FORCED, lower_is_better=True),
        Metric("perplexity", "Perplexity", "from 1 up", Group.TEACHER_FORCED, lower_is_better=True),
        Metric("token_accuracy", "Token accuracy", _FRACTION, Group.TEACHER_FORCED),
        Metric("exact_match", "Exact match", _FRACTION, Group.ANSWERS),
        Metric("token_f1", "Token F1", _FRACTION, Group.ANSWERS),
        Metric("rouge_l", "ROUGE-L", _FRACTION, Group.ANSWERS),
        Metric("bleu", "BLEU", _PERCENT, Group.ANSWERS),
        Metric("chrf", "chrF", _PERCENT, Group.ANSWERS),
        Metric("numeric_match", "Numeric match", _FRACTION, Group.ANSWERS),
        Metric("accuracy", "Accuracy", _FRACTION, Group.ANSWERS),
        Metric("macro_f1", "Macro F1", _FRACTION, Group.ANSWERS),
        Metric("quality_score", "Quality score", _FRACTION, Group.DERIVED),
        Metric("latency_ms_p50", "Latency p50 (ms)", "milliseconds", Group.SPEED, lower_is_better=True),
        Metric("latency_ms_p95", "Latency p95 (ms)", "milliseconds", Group.SPEED, lower_is_better=True),
        Metric("tokens_per_s", "Tokens per second", "tokens per second", Group.SPEED),
        Metric("memory_bytes", "Memory (bytes)", "bytes", Group.SPEED, lower_is_better=True),
        Metric("peak_memory_bytes", "Peak memory (bytes)", "bytes", Group.SPEED, lower_is_better=True),
        Metric("cost_per_1k_tokens", "Cost per 1,000 tokens", "currency", Group.DERIVED, lower_is_better=True),
    )
}
# What a request may ask for; the others follow from these.
MEASURED = tuple(name for name, metric in METRICS.items() if metric.group is not Group.DERIVED)

# The metrics of lm-eval 0.4 (`lm_eval/api/metrics.py`), and whether lower is better. Tasks may define further ones; a
# suite's report then tells their direction.
SUITE_METRICS = {
    "acc": False,
    "acc_all": False,
    "acc_bytes": False,
    "acc_mutual_info": False,
    "acc_norm": False,
    "bits_per_byte": True,
    "bleu": False,
    "brier_score": True,
    "byte_perplexity": True,
    "chrf": False,
    "chrf++": False,
    "exact_match": False,
    "f1": False,
    "likelihood": False,
    "mcc": False,
    "perplexity": True,
    "ter": True,
    "word_perplexity": True,
}


def names_in(*groups: Group) -> tuple[str, ...]:
    """The names of every metric of some groups."""
    return tuple(name for name, metric in METRICS.items() if metric.group in groups)


def lower_is_better(name: str) -> bool:
    """Whether the lower of two values is the better one. Raises UnknownMetricError.

    Metrics of a benchmark suite are named `<task>.<metric>`, or `<task>.<metric>.<filter>` where answers are filtered.

    >>> lower_is_better("peak_memory_bytes"), lower_is_better("gsm8k.exact_match.strict-match")
    (True, False)
    """
    if name in METRICS:
        return METRICS[name].lower_is_better
    task, *rest = name.split(".")
    # Names of tasks may hold dots, those of metrics do not: the metric is the last part, or stands before a filter.
    for part in reversed(rest[-2:]):
        if task and part in SUITE_METRICS:
            return SUITE_METRICS[part]
    raise UnknownMetricError(
        f"{name!r} is not a known metric; known are {', '.join(METRICS)}, and <task>.<metric> of a benchmark suite"
        f" with one of {', '.join(SUITE_METRICS)}"
    )


def known(name: str) -> str:
    """The name itself, if a metric has it. Raises UnknownMetricError."""
    lower_is_better(name)
    return name


def measured(name: str) -> str:
    """The name itself, if an evaluation can be asked for this metric. Raises UnknownMetricError."""
    if name not in MEASURED:
        raise UnknownMetricError(f"must be one of {', '.join(MEASURED)}")
    return name
