"""Metrics side by side, with what changed and whether that is better."""

from collections.abc import Mapping, Sequence

from slm_client.models import ComparedMetric, EvaluationComparison
from slm_ui.components import cells
from slm_ui.components.view import draw
from slm_ui.formatting import number, size, words

MINUS = "\N{MINUS SIGN}"

VERDICTS = {"better": "good", "worse": "bad", "unclear": "idle"}

Column = tuple[str, Mapping[str, float | None], str | None]
"""A heading, its metrics, and the id of the evaluation they are from."""

# In names of metrics, those of benchmark suites (`<task>.<metric>`) too.
LOWER_IS_BETTER = ("loss", "perplexity", "latency", "cost", "memory", ".bits_per_byte", ".brier_score", ".ter")
FIRST = ("loss", "perplexity", "token_accuracy", "exact_match", "accuracy", "f1", "macro_f1", "token_f1")
SHARES = ("accuracy", "exact_match", "f1", "match")
UNITS = {
    "loss": "nats per token",
    "latency_ms_p50": "ms",
    "latency_ms_p95": "ms",
    "tokens_per_s": "tokens/s",
}
NAMES = {"bleu": "BLEU", "chrf": "chrF", "rouge_l": "ROUGE-L", "tokens_per_s": "speed", "memory_bytes": "memory"}
# They tell of the machine and its other work as much as of the model: neither better nor worse.
NEUTRAL = ("latency", "tokens_per_s", "memory", "cost")


def compared(columns: Sequence[Column], *, key: str) -> None:
    """One row per metric; with two columns the change from the first to the second is told."""
    names = {name for _, metrics, _ in columns for name in metrics}
    order = sorted(names, key=_place)
    head = ["Metric", *(cells.column(title, align="right") for title, _, _ in columns)]
    if len(columns) == 2:
        head.append(cells.column("Change", align="right"))
    rows = [cells.row(name, _name(name), *_values(name, columns)) for name in order]
    links = cells.row("", "Evaluation", *(cells.short(identity, "evaluation") for _, _, identity in columns))
    if len(columns) == 2:
        links["cells"].append({"text": ""})
    draw(cells.table("Metrics", head, [*rows, links]), key=key)


def _place(name: str) -> tuple[int, bool, str]:
    """What is asked for most comes first, what tells of the machine last."""
    return FIRST.index(name) if name in FIRST else len(FIRST), _is_neutral(name), name


def _is_neutral(name: str) -> bool:
    return any(part in name for part in NEUTRAL)


def _name(name: str) -> cells.Cell:
    return {"text": NAMES.get(name) or words(name.replace("_ms_", "_")), "sub": UNITS.get(name)}


def _values(name: str, columns: Sequence[Column]) -> list[cells.Cell]:
    values = [metrics.get(name) for _, metrics, _ in columns]
    shown: list[cells.Cell] = [value_of(name, value) for value in values]
    if len(columns) == 2:
        shown.append(change(name, values[0], values[1]))
    return shown


def value_of(name: str, value: float | None) -> str:
    """A value as people read it: shares in percent."""
    if value is not None and any(part in name for part in SHARES) and -1 <= value <= 1:
        return f"{value:.1%}"
    return size(value) if name.endswith("memory_bytes") else number(value)


def change(name: str, before: float | None, after: float | None) -> cells.Cell:
    """What changed, green where that is better."""
    if before is None or after is None:
        return None
    difference = after - before
    if difference == 0:
        return "no change"
    tone = "idle" if _is_neutral(name) else "good" if (difference < 0) == lower_is_better(name) else "bad"
    # The difference of two shares is told in points, not in percent of anything.
    shown = value_of(name, abs(difference)).replace("%", " points")
    return {"text": f"{MINUS if difference < 0 else '+'}{shown}", "tone": tone}


def lower_is_better(name: str) -> bool:
    """Whether the lower of two values of a metric is the better one."""
    return any(part in name for part in LOWER_IS_BETTER)


def with_intervals(comparison: EvaluationComparison, *, key: str) -> None:
    """Two evaluations of the same rows: every metric, its difference, and the interval that the difference lies in."""
    head = [
        "Metric",
        cells.column(f"{comparison.first.model.name} (base)", align="right"),
        cells.column(comparison.second.model.name, align="right"),
        cells.column("Change", align="right"),
        cells.column(f"{comparison.confidence:.0%} interval", align="right"),
    ]
    rows = [
        {"id": metric.name, "cells": _compared(metric)}
        for metric in sorted(comparison.metrics, key=lambda metric: _place(metric.name))
    ]
    links = [cells.short(each.id, "evaluation") for each in (comparison.first, comparison.second)]
    blank = {"text": ""}
    draw(cells.table("Metrics", head, [*rows, cells.row("", "Evaluation", *links, blank, blank)]), key=key)


def _compared(metric: ComparedMetric) -> list[cells.Cell]:
    change_of = change(metric.name, metric.first, metric.second)
    if metric.verdict and isinstance(change_of, dict):
        change_of = {**change_of, "tone": VERDICTS.get(metric.verdict, "idle"), "sub": words(metric.verdict)}
    interval = None
    if metric.low is not None and metric.high is not None:
        interval = f"{_signed(metric.name, metric.low)} to {_signed(metric.name, metric.high)}"
    values = [value_of(metric.name, metric.first), value_of(metric.name, metric.second)]
    return [_name(metric.name), *values, change_of, interval]


def _signed(name: str, value: float) -> str:
    return f"{MINUS if value < 0 else '+'}{value_of(name, abs(value)).replace('%', '')}"
