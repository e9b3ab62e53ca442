"""The one way a row becomes tokens and a loss mask, for the trainer and the evaluator alike.

`prompt/completion` and `messages` rows are rendered as a conversation by the model's chat template, with the loss on
the assistant's words and their stop token only. A tokenizer without a template gets prompt and completion as plain
text, one after the other, and a stop token. `text` rows are trained on as a whole. Of `chosen/rejected` rows the chosen
answer is what a model is measured on.
Row formats are named as TRL names them: https://huggingface.co/docs/trl/dataset_formats
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from transformers import PreTrainedTokenizerBase

PROMPT_COMPLETION, MESSAGES, TEXT = "prompt/completion", "messages", "text"
TRAINABLE_FORMATS = (PROMPT_COMPLETION, MESSAGES, TEXT)

# The label of a token that no loss is computed for: what `torch.nn.functional.cross_entropy` ignores by default.
IGNORED = -100
Row = dict[str, Any]


class RowFormatError(ValueError):
    """The row format is none that a language model can be trained on, or a row is not of its format."""


@dataclass(frozen=True)
class Example:
    """One encoded row.

    `loss_mask[i]` is 1 where the token `input_ids[i]` is to be predicted. `prompt_ids` are the tokens to generate from;
    `prompt` and `completion` are the texts a person would read.
    """

    input_ids: list[int]
    loss_mask: list[int]
    prompt_ids: list[int]
    prompt: str
    completion: str


def encode_row(
    row: Row, *, row_format: str, mapping: dict[str, str], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Example | None:
    """One row as tokens, cut after `max_length` of them; None when nothing of it is left to be learned.

    `mapping` names the columns that stand for the format's own, e.g. `{"prompt": "question"}`. Raises RowFormatError.
    """
    match row_format:
        case "prompt/completion":
            prompt, completion = (_text(_value(row, name, mapping)) for name in ("prompt", "completion"))
            example = _encode_pair(prompt, completion, tokenizer)
        case "messages":
            example = _encode_messages(_conversation(_value(row, "messages", mapping)), tokenizer)
        case "text":
            example = _encode_text(_text(_value(row, "text", mapping)), tokenizer)
        case "chosen/rejected":
            example = _encode_answer(row, "chosen", mapping, tokenizer)
        case _:
            raise RowFormatError(f"rows of the format {row_format} cannot be trained on")
    return _cut(example, max_length)


def encode_preference(
    row: Row, *, mapping: dict[str, str], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> tuple[Example, Example] | None:
    """The preferred and the rejected answer of a row behind their prompt, each cut after `max_length` tokens.

    None when either leaves nothing to be learned. Raises RowFormatError.
    """
    pair = []
    for answer in ("chosen", "rejected"):
        cut = _cut(_encode_answer(row, answer, mapping, tokenizer), max_length)
        if cut is None:
            return None
        pair.append(cut)
    return pair[0], pair[1]


def _cut(example: Example, max_length: int) -> Example | None:
    """The first `max_length` tokens of a row; None when nothing of them is left to be learned."""
    cut = replace(example, input_ids=example.input_ids[:max_length], loss_mask=example.loss_mask[:max_length])
    # Nothing comes before the first token that could predict it.
    return cut if any(cut.loss_mask[1:]) else None


def encode_rows(
    rows: Sequence[Row],
    *,
    row_format: str,
    mapping: dict[str, str],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
) -> list[Example]:
    """Every row that leaves something to be learned, in order. Raises RowFormatError naming the row, from 1."""
    numbered = encode_numbered(rows, row_format=row_format, mapping=mapping, tokenizer=tokenizer, max_length=max_length)
    return [example for _, example in numbered]


def encode_numbered(
    rows: Sequence[Row],
    *,
    row_format: str,
    mapping: dict[str, str],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
) -> list[tuple[int, Example]]:
    """Every row that leaves something to be learned, with its place among the rows from 0. Raises RowFormatError."""
    encoded = []
    for number, row in enumerate(rows):
        try:
            example = encode_row(
                row, row_format=row_format, mapping=mapping, tokenizer=tokenizer, max_length=max_length
            )
        except RowFormatError as error:
            raise RowFormatError(f"row {number + 1}: {error}") from error
        if example is not None:
            encoded.append((number, example))
    return encoded


def _value(row: Row, name: str, mapping: dict[str, str]) -> Any:
    """What a row holds for one of its format's own columns; nothing there is not the text `null`."""
    column = mapping.get(name, name)
    if row.get(column) is None:
        raise RowFormatError(f"the column {column} is empty")
    return row[column]


def _conversation(value: Any) -> list[dict[str, str]]:
    """Messages with a role and a text each."""
    if not isinstance(value, list):
        raise RowFormatError("the messages are not a list")
    for message in value:
        if not isinstance(message, dict) or not all(isinstance(message.get(key), str) for key in ("role", "content")):
            raise RowFormatError("a message lacks its role or its content")
    return value


def _text(value: Any) -> str:
    """Text as it is; anything else as JSON, which is what a model should answer with for structured values."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _encode_pair(prompt: str, completion: str, tokenizer: PreTrainedTokenizerBase) -> Example:
    if tokenizer.chat_template is None:
        prompt_ids = _plain(prompt, tokenizer)
        answer_ids = [*_plain(completion, tokenizer), *_stop(tokenizer)]
        return Example(prompt_ids + answer_ids, _mask(prompt_ids, answer_ids), prompt_ids, prompt, completion)
    messages = [{"role": "user", "content": prompt}]
    prompt_ids = _render(messages, tokenizer, with_answer=False)
    answer_ids = _answer_to(prompt_ids, messages, completion, tokenizer)
    return Example(prompt_ids + answer_ids, _mask(prompt_ids, answer_ids), prompt_ids, prompt, completion)


def _encode_messages(messages: Sequence[dict[str, str]], tokenizer: PreTrainedTokenizerBase) -> Example:
    """A conversation with the loss on every assistant turn; the last one is what generation is compared with."""
    if tokenizer.chat_template is None:
        raise RowFormatError("conversations need a base model with a chat template")
    input_ids: list[int] = []
    loss_mask: list[int] = []
    prompt_ids: list[int] = []
    prompt = completion = ""
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = list(messages[:index])
        if not before:
            raise RowFormatError("the conversation begins with the assistant")
        prompt_ids = _render(before, tokenizer, with_answer=False)
        answer_ids = _answer_to(prompt_ids, before, message["content"], tokenizer)
        loss_mask += [0] * (len(prompt_ids) - len(loss_mask)) + [1] * len(answer_ids)
        input_ids = prompt_ids + answer_ids
        prompt, completion = before[-1]["content"], message["content"]
    return Example(input_ids, loss_mask, prompt_ids, prompt, completion)


def _encode_answer(row: Row, answer: str, mapping: dict[str, str], tokenizer: PreTrainedTokenizerBase) -> Example:
    """One of the answers of a preference row: a text behind a prompt, or the end of a conversation."""
    value, prompt = _value(row, answer, mapping), row.get(mapping.get("prompt", "prompt"))
    if not isinstance(value, list):
        return _encode_pair(_text(prompt if prompt is not None else ""), _text(value), tokenizer)
    messages = _conversation([*(prompt if isinstance(prompt, list) else []), *value])
    example = _encode_messages(messages, tokenizer)
    # Only the last turn is what was preferred or rejected; the ones before are the same in both.
    start = len(example.prompt_ids)
    return replace(example, loss_mask=[0] * start + [1] * (len(example.input_ids) - start))


def _encode_text(text: str, tokenizer: PreTrainedTokenizerBase) -> Example:
    ids = [*_plain(text, tokenizer), *_stop(tokenizer)]
    return Example(ids, [1] * len(ids), ids[:1], "", text)


def _answer_to(
    prompt_ids: list[int], messages: list[dict[str, str]], answer: str, tokenizer: PreTrainedTokenizerBase
) -> list[int]:
    """The tokens of an assistant turn as the template writes it behind `prompt_ids`, stop token included."""
    turn = {"role": "assistant", "content": answer}
    full = _render([*messages, turn], tokenizer, with_answer=True)
    if full[: len(prompt_ids)] != prompt_ids:
        raise RowFormatError("the chat template does not write an answer behind its own generation prompt")
    return full[len(prompt_ids) :]


def _render(messages: list[dict[str, str]], tokenizer: PreTrainedTokenizerBase, *, with_answer: bool) -> list[int]:
    ids = tokenizer.apply_chat_template(
        messages, tokenize=True, add_generation_prompt=not with_answer, return_dict=False
    )
    return cast(list[int], ids)


def _plain(text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _stop(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    return [] if tokenizer.eos_token_id is None else [int(tokenizer.eos_token_id)]


def _mask(prompt_ids: list[int], answer_ids: list[int]) -> list[int]:
    return [0] * len(prompt_ids) + [1] * len(answer_ids)
