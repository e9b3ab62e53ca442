"""What generated answers score beside the expected ones. docs/metrics.md has each definition and its source."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib import import_module
from typing import Any

import sacrebleu

from slm_evaluation.domain import is_exact

MAX_LABELS = 20
MIN_ROWS_PER_LABEL = 2
MAX_LABEL_CHARACTERS = 60
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
_NUMBER = re.compile(r"[-+]?(?:\d[\d,]*)?\.?\d+")
_WHOLE_NUMBER = re.compile(r"[-+$€£]*\s*(?:\d[\d,]*)?\.?\d+\s*%?")

RowMetric = Callable[[str, str], float | None]


def token_f1(expected: str, generated: str) -> float:
    """Harmonic mean of precision and recall over words, as SQuAD counts them: lower case, no punctuation or articles.

    Source: https://rajpurkar.github.io/SQuAD-explorer/ (evaluate-v1.1.py).
    """
    wanted, found = _words(expected), _words(generated)
    if not wanted or not found:
        return float(wanted == found)
    shared = sum((Counter(wanted) & Counter(found)).values())
    return 2 * shared / (len(wanted) + len(found))


def _words(text: str) -> list[str]:
    return _ARTICLES.sub(" ", _PUNCTUATION.sub("", text.lower())).split()


def rouge_l(expected: str, generated: str) -> float:
    """ROUGE-L F-measure of the reference package, without stemming. Source: Lin 2004, `rouge-score`."""
    score: float = _rouge().score(expected, generated)["rougeL"].fmeasure
    return score


@cache
def _rouge() -> Any:
    # It brings nltk, and that scikit-learn and pandas: nothing that a worker without text to compare should wait for.
    return import_module("rouge_score.rouge_scorer").RougeScorer(["rougeL"], use_stemmer=False)


def numeric_match(expected: str, generated: str) -> float | None:
    """Whether the final numbers are equal, as GSM8K compares answers; None where no number is expected.

    The final number stands behind `####` or is the last one in the text. Source: https://github.com/openai/grade-school-math
    """
    wanted = final_number(expected) if _expects_number(expected) else None
    return None if wanted is None else float(final_number(generated) == wanted)


def _expects_number(text: str) -> bool:
    return "####" in text or bool(_WHOLE_NUMBER.fullmatch(text.strip()))


def final_number(text: str) -> Decimal | None:
    """The number behind the last `####`, or else the last number in a text."""
    numbers = _NUMBER.findall(text.rpartition("####")[2])
    try:
        return Decimal(numbers[-1].replace(",", "")) if numbers else None
    except InvalidOperation:
        return None


ROW_METRICS: dict[str, RowMetric] = {
    "exact_match": lambda expected, generated: float(is_exact(expected, generated)),
    "token_f1": token_f1,
    "rouge_l": rouge_l,
    "numeric_match": numeric_match,
}


def score_rows(expected: Sequence[str], generated: Sequence[str], wanted: Sequence[str]) -> dict[str, list[float]]:
    """The wanted metrics that have a value for each row: one list per metric, in the rows' order.

    `exact_match` is always among them, because predictions are narrowed by it.
    """
    columns: dict[str, list[float]] = {}
    for name, metric in ROW_METRICS.items():
        if name in wanted or name == "exact_match":
            values = [metric(*pair) for pair in zip(expected, generated, strict=True)]
            whole = [value for value in values if value is not None]
            if len(whole) == len(values):
                columns[name] = whole
    return columns


def score_corpus(expected: Sequence[str], generated: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """The wanted metrics of all answers together. `accuracy` and `macro_f1` only where the answers are labels."""
    found: dict[str, float] = {}
    labels = labels_in(expected)
    if labels:
        pairs = [(one.strip(), other.strip()) for one, other in zip(expected, generated, strict=True)]
        found["accuracy"] = sum(one == other for one, other in pairs) / len(pairs)
        found["macro_f1"] = macro_f1(pairs, labels)
    if "bleu" in wanted:
        found["bleu"] = sacrebleu.corpus_bleu(list(generated), [list(expected)]).score
    if "chrf" in wanted:
        found["chrf"] = sacrebleu.corpus_chrf(list(generated), [list(expected)]).score
    return {name: value for name, value in found.items() if name in wanted}


def labels_in(expected: Sequence[str]) -> list[str]:
    """The labels, when the expected answers are some: few, short, of one line, and each met twice on average."""
    found = sorted({text.strip() for text in expected})
    are_labels = (
        2 <= len(found) <= MAX_LABELS
        and len(found) * MIN_ROWS_PER_LABEL <= len(expected)
        and all(text and "\n" not in text and len(text) <= MAX_LABEL_CHARACTERS for text in found)
    )
    return found if are_labels else []


def macro_f1(pairs: Sequence[tuple[str, str]], labels: Sequence[str]) -> float:
    """Unweighted mean over the labels of F1 = 2 TP / (2 TP + FP + FN); an answer that is no label is a miss.

    Definition: scikit-learn, `f1_score(average="macro", labels=labels, zero_division=0)`.
    """
    right = Counter(one for one, other in pairs if one == other)
    wanted, found = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    return sum(2 * right[label] / (wanted[label] + found[label]) for label in labels) / len(labels)


def means(columns: Mapping[str, Sequence[float]], wanted: Sequence[str]) -> dict[str, float]:
    """The mean of each wanted column that has a row."""
    return {name: sum(values) / len(values) for name, values in columns.items() if values and name in wanted}
