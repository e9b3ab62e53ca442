"""The training of a model beside what it scores, with a training service that is played here."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.responses import JSONResponse

from slm_shared.storage.ids import new_id
from slm_testing.apps import serving

EXPERIMENT = {
    "status": "completed", "steps": 30, "train_loss": 0.5, "eval_loss": 0.75, "attempt": 2, "goal": "none of it",
}  # fmt: skip
SERIES = {
    "loss": [{"step": 10, "value": 2.0}, {"step": 20, "value": None}, {"step": 30, "value": 0.5}],
    "eval_loss": [{"step": 30, "value": 0.75}],
    "empty": [],
}

Claim = Callable[..., Awaitable[dict[str, Any] | None]]
Tell = Callable[..., Awaitable[httpx2.Response]]


@pytest.fixture
def forgotten() -> set[str]:
    """Experiments that the training service does not know."""
    return set()


@pytest.fixture
async def neighbours(forgotten: set[str]) -> AsyncIterator[dict[str, str]]:
    """A training service that knows every other experiment."""
    app = FastAPI()

    @app.get("/api/experiments/{experiment_id}")
    def experiment(experiment_id: str) -> JSONResponse:
        return JSONResponse(EXPERIMENT, status_code=404 if experiment_id in forgotten else 200)

    @app.get("/api/experiments/{experiment_id}/metrics")
    def metrics(experiment_id: str) -> JSONResponse:
        return JSONResponse({"series": SERIES}, status_code=404 if experiment_id in forgotten else 200)

    async with serving(app) as address:
        yield {"training_url": address}


@pytest.fixture
async def measured(
    user: httpx2.AsyncClient, queue: Callable[[int], Awaitable[list[str]]], claim: Claim, tell: Tell
) -> tuple[str, str]:
    """Ids of the evaluations of a base and of the model that was trained from it, both completed."""
    baseline, tuned = await queue(2)
    for loss in (2.5, 1.5):
        lease = await claim(claim_id=str(new_id()))
        assert lease is not None
        answer = await tell(lease, "complete", rows=4, metrics={"loss": loss}, samples=[])
        assert answer.status_code == 204, answer.text
    return baseline, tuned


async def test_curves_hold_the_series_the_scores_and_their_statistics(
    user: httpx2.AsyncClient, measured: tuple[str, str]
) -> None:
    _, tuned = measured
    answer = await user.get(f"/api/evaluations/{tuned}/curves")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["experiment_id"] == (await user.get(f"/api/evaluations/{tuned}")).json()["experiment_id"]
    assert found["series"] == SERIES
    assert [(each["id"], each["metrics"]["loss"]) for each in found["evaluations"]] == [(tuned, 1.5)]
    assert found["statistics"] == {
        "status": "completed", "steps": 30, "train_loss": 0.5, "eval_loss": 0.75, "attempts": 2, "started_at": None,
        "completed_at": None, "loss_first": 2.0, "loss_last": 0.5, "loss_min": 0.5, "loss_max": 2.0,
        "eval_loss_first": 0.75, "eval_loss_last": 0.75, "eval_loss_min": 0.75, "eval_loss_max": 0.75,
    }  # fmt: skip


async def test_without_a_training_there_are_no_curves(
    user: httpx2.AsyncClient, measured: tuple[str, str], forgotten: set[str]
) -> None:
    baseline, tuned = measured
    refused = await user.get(f"/api/evaluations/{baseline}/curves")
    assert (refused.status_code, refused.json()["code"]) == (409, "evaluation_not_ready")
    forgotten.add((await user.get(f"/api/evaluations/{tuned}")).json()["experiment_id"])
    assert (await user.get(f"/api/evaluations/{tuned}/curves")).status_code == 404
    assert (await user.get(f"/api/evaluations/{new_id()}/curves")).status_code == 404
