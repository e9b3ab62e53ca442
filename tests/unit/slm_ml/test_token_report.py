"""A token report says beforehand what the training itself would do with the rows."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from slm_ml.encoding import (
    MESSAGES,
    PROMPT_COMPLETION,
    TEXT,
    RowFormatError,
    encode_preference,
    encode_row,
    encode_rows,
)
from slm_ml.token_report import PREFERENCE, TokenReport, histogram, make_token_report, percentile

PAIRS = [{"prompt": "turn on the light", "completion": "light on"} for _ in range(7)]


def report(
    rows: list[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, row_format: str = PROMPT_COMPLETION, **more: Any
) -> TokenReport:
    settings = {"mapping": {}, "max_length": 512, **more}
    return make_token_report(rows, row_format=row_format, tokenizer=tokenizer, **settings)


def test_rows_that_fit_are_kept_and_counted(tokenizer: PreTrainedTokenizerBase) -> None:
    example = encode_row(PAIRS[0], row_format=PROMPT_COMPLETION, mapping={}, tokenizer=tokenizer, max_length=512)
    assert example is not None
    found = report(PAIRS, tokenizer)
    assert (found.rows, found.kept_rows, found.truncated_rows, found.dropped_rows, found.invalid_rows) == (
        7,
        7,
        0,
        0,
        0,
    )
    assert found.total_tokens == 7 * len(example.input_ids)
    assert found.trained_tokens == 7 * sum(example.loss_mask)
    assert found.p50_length == found.p95_length == found.max_row_length == len(example.input_ids)
    assert (found.stop_token, found.stop_token_trained, found.rows_with_stop_token) == ("<|end|>", True, 7)
    assert found.has_chat_template


def test_samples_show_the_mask_as_spans(tokenizer: PreTrainedTokenizerBase) -> None:
    found = report([{**PAIRS[0], "n": n} for n in range(20)], tokenizer)
    assert len(found.samples) == 5
    assert [each.row for each in found.samples] == sorted({each.row for each in found.samples})
    (spans,) = found.samples[0].sequences
    assert [(span.text, span.trained) for span in spans] == [
        ("<|user|>turn on the light<|end|><|assistant|>", False),
        ("light on<|end|>", True),
    ]
    assert found == report([{**PAIRS[0], "n": n} for n in range(20)], tokenizer)


def test_a_cut_answer_is_truncated_and_a_cut_prompt_dropped(tokenizer: PreTrainedTokenizerBase) -> None:
    rows = [
        {"prompt": "a", "completion": "light " * 40},
        {"prompt": "light " * 40, "completion": "a"},
        {"prompt": "a", "completion": "b"},
    ]
    found = report(rows, tokenizer, max_length=16)
    assert (found.kept_rows, found.truncated_rows, found.dropped_rows) == (1, 1, 1)
    assert found.dropped_because == {"prompt_too_long": 1}
    # The one that is cut has lost its stop token, the one that is kept has it.
    assert (found.rows_with_stop_token, found.stop_token_trained) == (1, True)
    assert found.max_row_length > 16


def test_a_conversation_without_an_answer_teaches_nothing(tokenizer: PreTrainedTokenizerBase) -> None:
    found = report([{"messages": [{"role": "user", "content": "hello"}]}], tokenizer, MESSAGES)
    assert (found.dropped_rows, found.dropped_because, found.stop_token_trained) == (1, {"nothing_to_learn": 1}, False)
    assert (found.total_tokens, found.samples) == (0, [])


def test_rows_that_are_not_of_their_format_are_named(tokenizer: PreTrainedTokenizerBase) -> None:
    found = report([*PAIRS, {"prompt": "x", "completion": None}], tokenizer)
    assert (found.kept_rows, found.invalid_rows) == (7, 1)
    assert [(each.row, each.message) for each in found.problems] == [(8, "the column completion is empty")]


def test_a_format_that_nothing_is_trained_on_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(RowFormatError):
        report([{"a": 1}], tokenizer, "columns")


def test_preference_rows_count_both_answers(tokenizer: PreTrainedTokenizerBase) -> None:
    pairs = [{"prompt": "hello", "completion": each} for each in ("good", "bad one")]
    both = report(pairs, tokenizer)
    found = report([{"prompt": "hello", "chosen": "good", "rejected": "bad one"}], tokenizer, PREFERENCE)
    assert (found.rows, found.total_tokens, found.trained_tokens) == (1, both.total_tokens, both.trained_tokens)
    assert len(found.samples[0].sequences) == 2
    talks = {
        name: [{"role": "user", "content": "hello"}, {"role": "assistant", "content": text}]
        for name, text in (("chosen", "good"), ("rejected", "bad one"))
    }
    assert report([talks], tokenizer, PREFERENCE).total_tokens == both.total_tokens


def test_of_preferred_conversations_only_the_last_turn_is_trained(tokenizer: PreTrainedTokenizerBase) -> None:
    before = [
        {"role": "user", "content": "turn on the light"},
        {"role": "assistant", "content": "which light"},
        {"role": "user", "content": "hello"},
    ]
    row = {
        name: [*before, {"role": "assistant", "content": text}]
        for name, text in (("chosen", "good"), ("rejected", "bad one"))
    }
    pair = encode_preference(row, mapping={}, tokenizer=tokenizer, max_length=512)
    assert pair is not None
    assert report([row], tokenizer, PREFERENCE).trained_tokens == sum(sum(each.loss_mask) for each in pair)


def test_a_preference_row_without_an_answer_is_invalid(tokenizer: PreTrainedTokenizerBase) -> None:
    assert report([{"prompt": "a", "chosen": "b", "rejected": None}], tokenizer, PREFERENCE).invalid_rows == 1


def test_mapped_columns_are_read(tokenizer: PreTrainedTokenizerBase) -> None:
    rows = [{"question": "turn on the light", "answer": "light on"}]
    found = report(rows, tokenizer, mapping={"prompt": "question", "completion": "answer"})
    assert found.total_tokens == report(PAIRS[:1], tokenizer).total_tokens


def test_a_tokenizer_without_a_template_trains_plain_pairs(plain_tokenizer: PreTrainedTokenizerBase) -> None:
    found = report(PAIRS, plain_tokenizer)
    assert (found.kept_rows, found.has_chat_template, found.stop_token_trained) == (7, False, True)
    assert report([{"messages": []}], plain_tokenizer, MESSAGES).invalid_rows == 1


@settings(max_examples=40)
@given(
    rows=st.lists(st.tuples(st.text(max_size=60), st.text(max_size=60)), max_size=8),
    max_length=st.integers(min_value=2, max_value=60),
)
def test_the_report_says_what_the_encoding_does(
    tokenizer: PreTrainedTokenizerBase, rows: list[tuple[str, str]], max_length: int
) -> None:
    given_rows = [{"prompt": prompt, "completion": completion} for prompt, completion in rows]
    encoded = encode_rows(
        given_rows, row_format=PROMPT_COMPLETION, mapping={}, tokenizer=tokenizer, max_length=max_length
    )
    found = report(given_rows, tokenizer, max_length=max_length)
    assert found.kept_rows + found.truncated_rows == len(encoded)
    assert found.total_tokens == sum(len(example.input_ids) for example in encoded)
    assert found.trained_tokens == sum(sum(example.loss_mask[1:]) for example in encoded)
    assert found.rows == len(rows)
    assert sum(bucket.rows for bucket in found.lengths) == len(rows)


def test_text_rows_are_learned_whole(tokenizer: PreTrainedTokenizerBase) -> None:
    found = report([{"text": "turn on the light"}], tokenizer, TEXT)
    assert (found.trained_tokens, found.stop_token_trained) == (found.total_tokens - 1, True)


def test_long_samples_are_shortened(tokenizer: PreTrainedTokenizerBase) -> None:
    found = report([{"text": "light " * 5000}], tokenizer, TEXT, max_length=100_000)
    assert found.samples[0].shortened
    assert sum(len(span.text) for span in found.samples[0].sequences[0]) == 4000


@pytest.mark.parametrize(("values", "p50", "p95"), [([], 0, 0), ([3], 3, 3), (list(range(1, 101)), 50, 95)])
def test_percentiles_are_values_that_occur(values: list[int], p50: int, p95: int) -> None:
    assert (percentile(values, 50), percentile(values, 95)) == (p50, p95)


def test_buckets_cover_every_length_once() -> None:
    found = histogram(sorted([1, 1, 40, 200]))
    assert len(found) <= 20
    assert [bucket.rows for bucket in found if bucket.rows] == [2, 1, 1]
    assert all(after.from_tokens == before.to_tokens + 1 for before, after in pairwise(found))


def test_it_needs_no_torch(nano_folder: Path) -> None:
    code = f"""
import sys
sys.modules["torch"] = None
from pathlib import Path
from slm_ml.token_report import make_token_report
from slm_ml.tokenizer import load_tokenizer
tokenizer = load_tokenizer(Path({str(nano_folder)!r}))
rows = [{{"prompt": "a", "completion": "b"}}]
report = make_token_report(rows, row_format="prompt/completion", mapping={{}}, tokenizer=tokenizer, max_length=64)
sys.exit(report.kept_rows != 1)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
