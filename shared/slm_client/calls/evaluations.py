"""Requests about evaluations."""

from slm_client.calls.base import Call, address_of, given
from slm_client.models import (
    Evaluation,
    Page,
)


def list_evaluations(**filters: str | int | None) -> Call[Page[Evaluation]]:
    """A page of evaluations."""
    return Call("GET", "/api/evaluations", Page[Evaluation], params=given(**filters))


def get_evaluation(evaluation_id: object) -> Call[Evaluation]:
    """One evaluation."""
    return Call("GET", address_of("evaluations", evaluation_id), Evaluation)
