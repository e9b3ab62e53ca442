"""Rows as tokens and loss masks: what is learned is the answer and its stop token, nothing else."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from slm_ml.encoding import MESSAGES, PROMPT_COMPLETION, TEXT, Example, RowFormatError, encode_row, encode_rows

CONVERSATION = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "turn on the light"},
    {"role": "assistant", "content": "done"},
    {"role": "user", "content": "and the fan"},
    {"role": "assistant", "content": "the fan is on"},
]


def encode(
    row: dict[str, Any],
    row_format: str,
    tokenizer: PreTrainedTokenizerBase,
    *,
    mapping: dict[str, str] | None = None,
    max_length: int = 512,
) -> Example:
    found = encode_row(row, row_format=row_format, mapping=mapping or {}, tokenizer=tokenizer, max_length=max_length)
    assert found is not None
    return found


def learned(example: Example, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The stretches of text under the mask."""
    assert len(example.input_ids) == len(example.loss_mask)
    starts = [n for n, (before, now) in enumerate(pairwise([0, *example.loss_mask])) if (before, now) == (0, 1)]
    ends = [n for n, (now, after) in enumerate(pairwise([*example.loss_mask, 0]), 1) if (now, after) == (1, 0)]
    return [str(tokenizer.decode(example.input_ids[a:b])) for a, b in zip(starts, ends, strict=True)]


def test_only_the_completion_and_its_stop_token_are_learned(tokenizer: PreTrainedTokenizerBase) -> None:
    example = encode({"prompt": "turn on the light", "completion": "light on"}, PROMPT_COMPLETION, tokenizer)
    assert tokenizer.decode(example.input_ids) == "<|user|>turn on the light<|end|><|assistant|>light on<|end|>"
    assert learned(example, tokenizer) == ["light on<|end|>"]
    assert (example.input_ids[-1], example.loss_mask[-1]) == (tokenizer.eos_token_id, 1)
    assert tokenizer.decode(example.prompt_ids) == "<|user|>turn on the light<|end|><|assistant|>"
    assert example.input_ids[: len(example.prompt_ids)] == example.prompt_ids
    assert (example.prompt, example.completion) == ("turn on the light", "light on")


def test_every_assistant_turn_is_learned_and_nothing_else(tokenizer: PreTrainedTokenizerBase) -> None:
    example = encode({"messages": CONVERSATION}, MESSAGES, tokenizer)
    assert learned(example, tokenizer) == ["done<|end|>", "the fan is on<|end|>"]
    assert tokenizer.decode(example.input_ids) == (
        "<|system|>be brief<|end|><|user|>turn on the light<|end|><|assistant|>done<|end|>"
        "<|user|>and the fan<|end|><|assistant|>the fan is on<|end|>"
    )
    assert example.input_ids[: len(example.prompt_ids)] == example.prompt_ids
    assert str(tokenizer.decode(example.prompt_ids)).endswith("and the fan<|end|><|assistant|>")
    assert (example.prompt, example.completion) == ("and the fan", "the fan is on")


def test_a_conversation_of_two_turns_is_a_prompt_and_its_completion(tokenizer: PreTrainedTokenizerBase) -> None:
    turns = [{"role": "user", "content": "a b"}, {"role": "assistant", "content": "c d"}]
    pair = encode({"prompt": "a b", "completion": "c d"}, PROMPT_COMPLETION, tokenizer)
    assert encode({"messages": turns}, MESSAGES, tokenizer) == pair


def test_what_follows_the_last_answer_is_left_out(tokenizer: PreTrainedTokenizerBase) -> None:
    longer = [*CONVERSATION, {"role": "user", "content": "thank you"}]
    assert encode({"messages": longer}, MESSAGES, tokenizer) == encode({"messages": CONVERSATION}, MESSAGES, tokenizer)


def test_a_text_is_learned_as_a_whole(tokenizer: PreTrainedTokenizerBase) -> None:
    example = encode({"text": "the light is on"}, TEXT, tokenizer)
    assert learned(example, tokenizer) == ["the light is on<|end|>"]
    assert all(example.loss_mask)


def test_a_tokenizer_without_a_template_gets_plain_text(plain_tokenizer: PreTrainedTokenizerBase) -> None:
    example = encode({"prompt": "light?", "completion": "on"}, PROMPT_COMPLETION, plain_tokenizer)
    assert plain_tokenizer.decode(example.input_ids) == "light?on<|end|>"
    assert learned(example, plain_tokenizer) == ["on<|end|>"]
    assert plain_tokenizer.decode(example.prompt_ids) == "light?"


@pytest.mark.parametrize(
    ("row_format", "row", "mapping"),
    [
        (PROMPT_COMPLETION, {"question": "a", "answer": "b", "prompt": "x"}, {"prompt": "question"}),
        (PROMPT_COMPLETION, {"prompt": "a", "b": "b", "completion": "x"}, {"completion": "b"}),
        (MESSAGES, {"chat": CONVERSATION, "messages": []}, {"messages": "chat"}),
        (TEXT, {"body": "a", "text": "x"}, {"text": "body"}),
    ],
)
def test_a_mapping_names_the_columns(
    row_format: str, row: dict[str, Any], mapping: dict[str, str], tokenizer: PreTrainedTokenizerBase
) -> None:
    plain = {"prompt": "a", "completion": "b", "messages": CONVERSATION, "text": "a"}
    if "completion" not in mapping and "answer" in row:
        mapping = mapping | {"completion": "answer"}
    assert encode(row, row_format, tokenizer, mapping=mapping) == encode(plain, row_format, tokenizer)


@pytest.mark.parametrize(
    ("value", "text"), [({"a": [1, "é"]}, '{"a": [1, "é"]}'), (3, "3"), (True, "true"), ([], "[]")]
)
def test_structured_values_are_written_as_json(value: Any, text: str, tokenizer: PreTrainedTokenizerBase) -> None:
    example = encode({"prompt": "x", "completion": value}, PROMPT_COMPLETION, tokenizer)
    assert example.completion == text
    assert example == encode({"prompt": "x", "completion": text}, PROMPT_COMPLETION, tokenizer)


def test_a_long_row_is_cut_at_its_end(tokenizer: PreTrainedTokenizerBase) -> None:
    row = {"prompt": "turn on the light", "completion": "the light in the kitchen is on"}
    whole = encode(row, PROMPT_COMPLETION, tokenizer)
    length = len(whole.prompt_ids) + 2
    cut = encode(row, PROMPT_COMPLETION, tokenizer, max_length=length)
    assert (cut.input_ids, cut.loss_mask) == (whole.input_ids[:length], whole.loss_mask[:length])
    assert sum(cut.loss_mask) == 2
    assert (cut.prompt_ids, cut.completion) == (whole.prompt_ids, whole.completion)


@pytest.mark.parametrize(
    ("row_format", "row"),
    [
        (PROMPT_COMPLETION, {"prompt": "turn on the light in the kitchen", "completion": "on"}),
        (MESSAGES, {"messages": [{"role": "user", "content": "nobody answers"}]}),
        (MESSAGES, {"messages": []}),
        (TEXT, {"text": ""}),
    ],
)
def test_a_row_with_nothing_to_learn_is_none(
    row_format: str, row: dict[str, Any], tokenizer: PreTrainedTokenizerBase
) -> None:
    assert encode_row(row, row_format=row_format, mapping={}, tokenizer=tokenizer, max_length=4) is None


def test_rows_keep_their_order_without_those_that_teach_nothing(tokenizer: PreTrainedTokenizerBase) -> None:
    rows = [{"text": "one"}, {"text": ""}, {"text": "two"}]
    examples = encode_rows(rows, row_format=TEXT, mapping={}, tokenizer=tokenizer, max_length=64)
    assert [example.completion for example in examples] == ["one", "two"]


@pytest.mark.parametrize("row_format", ["columns", "preference", ""])
def test_other_formats_cannot_be_trained_on(row_format: str, tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(RowFormatError, match="cannot be trained on"):
        encode_row({"a": 1}, row_format=row_format, mapping={}, tokenizer=tokenizer, max_length=64)


def test_conversations_need_a_template(plain_tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(RowFormatError, match="chat template"):
        encode({"messages": CONVERSATION}, MESSAGES, plain_tokenizer)


def test_a_template_that_writes_answers_elsewhere_is_refused(plain_tokenizer: PreTrainedTokenizerBase) -> None:
    plain_tokenizer.chat_template = (
        "{% for message in messages %}{{ message['content'] }}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    with pytest.raises(RowFormatError, match="generation prompt"):
        encode({"prompt": "a", "completion": "b"}, PROMPT_COMPLETION, plain_tokenizer)


PIECES = st.text(st.characters(codec="utf-8", exclude_characters="<|>"), min_size=1, max_size=30)


@given(prompt=PIECES, completion=PIECES, max_length=st.integers(1, 60))
def test_the_mask_begins_where_the_prompt_ends(
    prompt: str, completion: str, max_length: int, tokenizer: PreTrainedTokenizerBase
) -> None:
    row = {"prompt": prompt, "completion": completion}
    example = encode_row(row, row_format=PROMPT_COMPLETION, mapping={}, tokenizer=tokenizer, max_length=max_length)
    whole = encode(row, PROMPT_COMPLETION, tokenizer, max_length=10_000)
    assert whole.loss_mask == [0] * len(whole.prompt_ids) + [1] * (len(whole.input_ids) - len(whole.prompt_ids))
    assert whole.input_ids[-1] == tokenizer.eos_token_id
    if example is None:
        assert max_length <= len(whole.prompt_ids)
    else:
        assert (example.input_ids, example.loss_mask) == (whole.input_ids[:max_length], whole.loss_mask[:max_length])


@pytest.mark.parametrize(
    ("row_format", "row"),
    [
        (PROMPT_COMPLETION, {"prompt": "x"}),
        (PROMPT_COMPLETION, {"prompt": None, "completion": "y"}),
        (TEXT, {"text": None}),
        (MESSAGES, {"messages": None}),
        (MESSAGES, {"messages": "text"}),
        (MESSAGES, {"messages": [{"role": "user", "content": "x"}, {"role": "assistant"}]}),
        (MESSAGES, {"messages": [{"role": "assistant", "content": "hi"}]}),
        (MESSAGES, {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": None}]}),
    ],
)
def test_malformed_rows_are_refused(row_format: str, row: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(RowFormatError):
        encode(row, row_format, tokenizer)


def test_the_row_that_is_malformed_is_named(tokenizer: PreTrainedTokenizerBase) -> None:
    rows: list[dict[str, Any]] = [{"text": "fine"}, {"text": None}]
    with pytest.raises(RowFormatError, match=r"row 2: the column text is empty"):
        encode_rows(rows, row_format=TEXT, mapping={}, tokenizer=tokenizer, max_length=32)
