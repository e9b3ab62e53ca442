"""Layouts that people's data comes in, brought to the row formats that TRL names.

Alpaca (https://github.com/tatsu-lab/stanford_alpaca#data-release): `instruction`, `input`, `output`.
ShareGPT: `conversations`, a list of `from` and `value`. Converted rows get new columns; the old ones stay.
"""

import polars as pl

SHAREGPT_COLUMNS = ("conversations", "conversation")
ROLE_OF = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bard": "assistant", "bing": "assistant"}


def bring_to_trl(frame: pl.LazyFrame, schema: pl.Schema) -> tuple[pl.LazyFrame, str | None]:
    """The rows with a `messages` or `prompt` and `completion` column added, and the layout's name; or as they are."""
    if "messages" not in schema:
        for name in SHAREGPT_COLUMNS:
            if name in schema and _struct_fields(schema[name]) >= {"from", "value"}:
                return frame.with_columns(_messages(pl.col(name)).alias("messages")), "sharegpt"
    names = set(schema)
    is_alpaca = {"instruction", "input", "output"} <= names and not {"prompt", "completion"} & names
    if is_alpaca and all(schema[name] == pl.String for name in ("instruction", "input", "output")):
        return frame.with_columns(_prompt(), pl.col("output").alias("completion")), "alpaca"
    return frame, None


def _struct_fields(kind: pl.DataType) -> set[str]:
    inner = kind.inner if isinstance(kind, pl.List) else None
    return {field.name for field in inner.fields} if isinstance(inner, pl.Struct) else set()


def holds_messages(kind: pl.DataType) -> bool:
    """Whether a column holds lists of role and content."""
    return _struct_fields(kind) >= {"role", "content"}


def _messages(column: pl.Expr) -> pl.Expr:
    said = pl.element().struct
    role = said.field("from").replace(ROLE_OF)
    return column.list.eval(pl.struct(role.alias("role"), said.field("value").alias("content")))


def _prompt() -> pl.Expr:
    """The instruction, and below it the input where there is one."""
    has_input = pl.col("input").fill_null("").str.strip_chars() != ""
    both = pl.concat_str([pl.col("instruction"), pl.col("input")], separator="\n\n")
    return pl.when(has_input).then(both).otherwise(pl.col("instruction")).alias("prompt")
