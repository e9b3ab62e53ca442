"""What answers score: each metric by its definition, and as its reference package says."""

from decimal import Decimal

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from slm_evaluation.worker.metrics import (
    final_number,
    labels_in,
    macro_f1,
    means,
    numeric_match,
    rouge_l,
    score_corpus,
    score_rows,
    token_f1,
)

EXPECTED = ["The cat sat on the mat.", "A dog barks loudly at night", "Nothing at all"]
GENERATED = ["the cat sat on a mat", "A dog barks", "Something else entirely"]
TEXTS = st.text(alphabet="abc the.-# 12", max_size=30)


@pytest.mark.parametrize(
    ("expected", "generated", "score"),
    [
        ("The cat!", "cat", 1.0),
        ("a b c d", "b c x", 2 * (2 / 3) * (2 / 3) / (4 / 3)),
        ("x x y", "x x x", 2 / 3),
        ("x", "y", 0.0),
        ("", "", 1.0),
        ("the", "", 1.0),
        ("x", "", 0.0),
    ],
)
def test_token_f1_counts_words_as_squad_does(expected: str, generated: str, score: float) -> None:
    assert token_f1(expected, generated) == pytest.approx(score)


@given(TEXTS, TEXTS)
def test_token_f1_is_a_share_and_symmetric(one: str, other: str) -> None:
    assert 0.0 <= token_f1(one, other) == token_f1(other, one) <= 1.0
    assert token_f1(one, one) == 1.0


def test_corpus_scores_are_the_reference_packages() -> None:
    found = score_corpus(EXPECTED, GENERATED, ("bleu", "chrf", "rouge_l"))
    assert found == {
        "bleu": sacrebleu.corpus_bleu(GENERATED, [EXPECTED]).score,
        "chrf": sacrebleu.corpus_chrf(GENERATED, [EXPECTED]).score,
    }
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    rows = score_rows(EXPECTED, GENERATED, ("rouge_l",))["rouge_l"]
    assert rows == [scorer.score(*pair)["rougeL"].fmeasure for pair in zip(EXPECTED, GENERATED, strict=True)]
    assert rouge_l("same words", "same words") == 1.0


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("He has 3 + 4 = 7 apples.\n#### 7", "7"),
        ("so 1,234.50 dollars", "1234.50"),
        ("#### -5", "-5"),
        ("no digits", None),
        ("first 3 then 4", "4"),
        ("", None),
    ],
)
def test_the_final_number_of_an_answer(text: str, number: str | None) -> None:
    assert final_number(text) == (None if number is None else Decimal(number))


@pytest.mark.parametrize(
    ("expected", "generated", "match"),
    [
        ("6 * 7 = 42\n#### 42", "that makes 42.0", 1.0),
        ("#### 1,000", "#### 1000", 1.0),
        ("42", "41", 0.0),
        ("$5", "five", 0.0),
        ("room 12 please", "12", None),
    ],
)
def test_numbers_are_compared_where_one_is_expected(expected: str, generated: str, match: float | None) -> None:
    assert numeric_match(expected, generated) == match


def test_numeric_match_is_told_only_when_every_row_expects_a_number() -> None:
    assert "numeric_match" not in score_rows(["42", "words"], ["42", "words"], ("numeric_match",))
    assert score_rows(["42", "7"], ["42", "8"], ("numeric_match",))["numeric_match"] == [1.0, 0.0]


def test_answers_are_labels_when_few_and_met_again() -> None:
    assert labels_in(["yes", "no", " yes", "no"]) == ["no", "yes"]
    assert labels_in(["yes", "yes"]) == []
    assert labels_in([f"answer {number}" for number in range(10)]) == []
    assert labels_in(["a\nb", "c", "a\nb", "c"]) == []
    assert labels_in([f"{number}" for number in range(21)] * 3) == []


def test_macro_f1_by_its_definition() -> None:
    pairs = [("a", "a"), ("a", "b"), ("b", "b"), ("b", "other"), ("c", "c")]
    # a: TP 1, FP 0, FN 1; b: TP 1, FP 1, FN 1; c: all right.
    assert macro_f1(pairs, ["a", "b", "c"]) == pytest.approx((2 / 3 + 0.5 + 1) / 3)


def test_classification_is_told_of_labels_only() -> None:
    wanted = ("accuracy", "macro_f1")
    assert score_corpus(["a", "b", "a", "b"], ["a", "b", "b", "?"], wanted) == pytest.approx(
        {"accuracy": 0.5, "macro_f1": (2 / 3 + 0.5) / 2}
    )
    assert score_corpus(EXPECTED, GENERATED, wanted) == {}


def test_rows_are_averaged_for_what_was_asked() -> None:
    columns = score_rows(EXPECTED, GENERATED, ("token_f1",))
    assert set(columns) == {"exact_match", "token_f1"}
    assert means(columns, ("token_f1",)) == {"token_f1": pytest.approx(sum(columns["token_f1"]) / 3)}
