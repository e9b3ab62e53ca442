"""Token reports and comparisons of datasets."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from slm_client.models.base import Answer, Problem
from slm_client.models.datasets import WorkProgress


class Examination(Answer):
    """A requested report on a dataset; `status` is `queued`, `done` or `failed`."""

    id: str
    dataset_id: str
    status: str
    progress: WorkProgress | None = None
    error: Problem | None = None
    created_at: datetime | None = None
    finished_at: datetime | None = None


class Span(Answer):
    """A piece of text as the model reads it; `trained` if it counts in the loss."""

    text: str
    trained: bool


class RenderedRow(Answer):
    """One row (from 1) as the model reads it; a preference has two sequences."""

    row: int
    outcome: str
    tokens: int
    trained_tokens: int = 0
    sequences: Sequence[Sequence[Span]] = ()
    shortened: bool = False


class TokenCounts(Answer):
    """The tokens of a dataset in training; lengths are in tokens, before rows are cut to `max_length`."""

    rows: int
    total_rows: int = 0
    kept_rows: int
    truncated_rows: int
    dropped_rows: int
    invalid_rows: int = 0
    dropped_because: dict[str, int] = Field(default_factory=dict)
    max_length: int
    has_chat_template: bool = False
    total_tokens: int
    trained_tokens: int
    p50_length: int
    p95_length: int
    max_row_length: int
    lengths: Sequence[dict[str, int]] = ()
    stop_token: str | None = None
    stop_token_trained: bool
    rows_with_stop_token: int = 0
    samples: Sequence[RenderedRow] = ()
    problems: Sequence[dict[str, Any]] = ()


class TokenReport(Examination):
    """The tokens of a dataset for one base model."""

    model_id: str
    model_name: str
    max_length: int
    report: TokenCounts | None = None


class DatasetComparison(Examination):
    """The comparison of two datasets: what changed, and which rows are in both."""

    other_id: str
    other_name: str
    report: dict[str, Any] | None = None
