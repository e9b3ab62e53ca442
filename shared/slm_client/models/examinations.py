"""Token reports and comparisons of datasets."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from slm_client.models.base import Answer, Problem
from slm_client.models.datasets import WorkProgress


class Examination(Answer):
    """Work on a dataset that was asked for: `queued`, `done` or `failed`."""

    id: str
    dataset_id: str
    status: str
    progress: WorkProgress | None = None
    error: Problem | None = None
    created_at: datetime | None = None
    finished_at: datetime | None = None


class Span(Answer):
    """A stretch of text as the model reads it; `trained` where it is learned."""

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
    """What training on a dataset would see; lengths are in tokens, of rows before any cut to `max_length`."""

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
    """What a dataset becomes in front of one base model."""

    model_id: str
    model_name: str
    max_length: int
    report: TokenCounts | None = None


class DatasetComparison(Examination):
    """Two datasets side by side: what changed between them, and which rows stand in both."""

    other_id: str
    other_name: str
    report: dict[str, Any] | None = None
