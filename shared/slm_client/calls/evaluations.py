"""Requests about evaluations."""

from collections.abc import Mapping
from typing import Any, Unpack

from slm_client.calls.base import Call, Nothing, PageFilters, address_of, given
from slm_client.models import (
    Curves,
    Evaluation,
    EvaluationComparison,
    Page,
    Predictions,
    Suites,
)


class EvaluationFilters(PageFilters, total=False):
    """Which evaluations to list."""

    model_id: str | None
    dataset_id: str | None
    experiment_id: str | None
    status: str | None
    since: str | None
    until: str | None


def create(settings: Mapping[str, Any]) -> Call[Evaluation]:
    """Queue an evaluation; `settings` is the body of `POST /api/evaluations`."""
    return Call("POST", "/api/evaluations", Evaluation, json=given(**settings))


def cancel(evaluation_id: object) -> Call[Evaluation]:
    """Cancel an evaluation."""
    return Call("POST", address_of("evaluations", evaluation_id, ":cancel"), Evaluation)


def retry(evaluation_id: object) -> Call[Evaluation]:
    """Queue a failed or cancelled evaluation again."""
    return Call("POST", address_of("evaluations", evaluation_id, ":retry"), Evaluation)


def compare(first: object, second: object) -> Call[EvaluationComparison]:
    """Two evaluations of the same rows side by side."""
    params = {"first": str(first), "second": str(second)}
    return Call("GET", "/api/evaluations:compare", EvaluationComparison, params=params)


def predictions(evaluation_id: object, **query: str | int | bool | None) -> Call[Predictions]:
    """A page of the model's answers."""
    path = address_of("evaluations", evaluation_id, "/predictions")
    return Call("GET", path, Predictions, params=given(**query))


def download_predictions(evaluation_id: object) -> Call[Nothing]:
    """Every answer as JSON lines."""
    return Call("GET", address_of("evaluations", evaluation_id, "/predictions/download"), Nothing)


def curves(evaluation_id: object) -> Call[Curves]:
    """The training curves of the model, and its evaluations."""
    return Call("GET", address_of("evaluations", evaluation_id, "/curves"), Curves)


def suites() -> Call[Suites]:
    """The available benchmark suites."""
    return Call("GET", "/api/evaluations:suites", Suites)


def page(**filters: Unpack[EvaluationFilters]) -> Call[Page[Evaluation]]:
    """A page of evaluations."""
    return Call("GET", "/api/evaluations", Page[Evaluation], params=given(**filters))


def get(evaluation_id: object) -> Call[Evaluation]:
    """One evaluation."""
    return Call("GET", address_of("evaluations", evaluation_id), Evaluation)
