"""What rows can be trained as: formats named as TRL names them, the columns that stand for their fields, and why not.

https://huggingface.co/docs/trl/dataset_formats
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PROMPT_COMPLETION, MESSAGES, TEXT, PREFERENCE, COLUMNS, IMAGES = (
    "prompt/completion",
    "messages",
    "text",
    "chosen/rejected",
    "columns",
    "images",
)
FIELDS = ("prompt", "completion", "messages", "text", "chosen", "rejected")
FIELDS_OF = {
    PROMPT_COMPLETION: ("prompt", "completion"),
    MESSAGES: ("messages",),
    TEXT: ("text",),
    PREFERENCE: ("chosen", "rejected"),
}
# Pairs of column names that people use for what a model is asked and what it should answer, most telling first.
KNOWN_PAIRS = (
    ("question", "answer"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("input", "output"),
    ("query", "response"),
    ("query", "answer"),
    ("prompt", "response"),
    ("prompt", "answer"),
    ("text", "label"),
    ("text", "intent"),
    ("utterance", "intent"),
    ("source", "target"),
)
KNOWN_MESSAGES = ("messages", "conversation", "chat", "dialog", "dialogue")
KNOWN_TEXTS = ("text", "content", "body", "document", "sentence")


@dataclass(frozen=True)
class RowFormat:
    """What the rows are, as TRL names it, and which columns stand for its fields.

    `source` names the layout that the rows came in when it is another one (`alpaca`, `sharegpt`). `suggestion` is a
    mapping that a user may want to give when nothing was recognised.
    """

    name: str
    mapping: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None
    suggestion: Mapping[str, str] = field(default_factory=dict)


class UnknownColumnError(ValueError):
    """The upload names a column that the file does not have."""


class MappingError(ValueError):
    """A given mapping names fields that make no row format."""


def detect_row_format(
    columns: Sequence[str], *, message_columns: Sequence[str] = (), given: Mapping[str, str] | None = None
) -> RowFormat:
    """What rows with these columns can be trained as; `message_columns` hold lists of role and content.

    A mapping given by the user wins. Raises UnknownColumnError for a column that is not there and MappingError for
    fields that make no row format.
    """
    if given:
        return _as_given(columns, given)
    if (named := next((name for name in KNOWN_MESSAGES if name in message_columns), None)) is not None:
        return RowFormat(MESSAGES, {} if named == "messages" else {"messages": named})
    for name in (PROMPT_COMPLETION, PREFERENCE):
        if set(FIELDS_OF[name]) <= set(columns):
            return RowFormat(name)
    there = {column.lower(): column for column in reversed(columns)}
    for prompt, completion in KNOWN_PAIRS:
        if prompt in there and completion in there:
            return RowFormat(PROMPT_COMPLETION, _renamed({"prompt": there[prompt], "completion": there[completion]}))
    if "text" in columns:
        return RowFormat(TEXT)
    return RowFormat(COLUMNS)


def _as_given(columns: Sequence[str], given: Mapping[str, str]) -> RowFormat:
    for column in given.values():
        if column not in columns:
            raise UnknownColumnError(column)
    for name, fields in FIELDS_OF.items():
        # A field that is not mapped may be there under its own name.
        if set(given) & set(fields) and all(each in given or each in columns for each in fields):
            return RowFormat(name, _renamed(given))
    for fields in FIELDS_OF.values():
        if set(given) & set(fields):
            raise UnknownColumnError(next(each for each in fields if each not in given and each not in columns))
    raise MappingError(", ".join(sorted(given)))


def _renamed(mapping: Mapping[str, str]) -> dict[str, str]:
    return {name: column for name, column in mapping.items() if name != column}


def suggest_mapping(text_columns: Sequence[str], mean_lengths: Mapping[str, float]) -> dict[str, str]:
    """Columns that a user may want to learn from when no format was recognised; `mean_lengths` in characters.

    Two columns of text or more: the last two that hold more than single words. One: a text.
    """
    there = {column.lower(): column for column in reversed(text_columns)}
    if (known := next((there[name] for name in KNOWN_TEXTS if name in there), None)) is not None:
        return {"text": known}
    wordy = [column for column in text_columns if mean_lengths.get(column, 0.0) >= 12.0]
    if len(wordy) >= 2:
        return {"prompt": wordy[-2], "completion": wordy[-1]}
    if len(wordy) == 1:
        label = next((column for column in reversed(text_columns) if column != wordy[0]), None)
        return {"prompt": wordy[0], "completion": label} if label else {"text": wordy[0]}
    return {}


def why_untrainable(row_format: str, *, rows: int, suggestion: Mapping[str, str]) -> str | None:
    """Why no language model can be trained on these rows, or None when one can."""
    if row_format == IMAGES:
        return "Images are kept, previewed and evaluated on; no text model is trained on them."
    if row_format != COLUMNS:
        return None if rows else "There are no rows."
    if suggestion:
        example = ", ".join(f"{name}={column}" for name, column in suggestion.items())
        return f"No column name says what to learn. Give a mapping, for instance {example}."
    return "No column holds text that a language model could learn from."
