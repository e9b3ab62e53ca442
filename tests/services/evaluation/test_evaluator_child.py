"""The child of the worker: what becomes of an evaluation when it is killed or stopped, and how long it is kept."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import psutil
import pytest

from slm_shared.events.catalogue import EvaluationFailed
from slm_testing.waiting import eventually
from tests.support.evaluation import Site, command_rows, evaluator

RowOf = Callable[[str], Awaitable[dict[str, Any]]]


def measuring_child() -> psutil.Process | None:
    """The child of the worker, if it runs."""
    for child in psutil.Process().children():
        # One that ends while we look is none.
        with contextlib.suppress(psutil.NoSuchProcess):
            if "slm_evaluation.worker.child" in child.cmdline():
                return child
    return None


async def in_the_middle(site: Site, row_of: RowOf) -> psutil.Process:
    """The child, once the first evaluation has told of some progress and is not done."""
    evaluation_id = (await site.evaluations())[0]["id"]

    async def check() -> psutil.Process | None:
        row = await row_of(evaluation_id)
        return measuring_child() if row["status"] == "running" and row["done_rows"] else None

    return await eventually(check, timeout_s=60)


@pytest.mark.parametrize("overrides", [{"generations": 0}], ids=["no-answers"])
async def test_a_killed_child_is_reported_and_the_evaluation_done_again(site: Site, row_of: RowOf) -> None:
    await site.queue(command_rows(800))
    async with evaluator(site):
        child = await in_the_middle(site, row_of)
        child.kill()
        baseline, measured = await site.ended()
    for item, epoch in ((baseline, 2), (measured, 1)):
        assert (item["status"], item["rows"]) == ("completed", 800)
        row = await row_of(item["id"])
        assert (row["epoch"], row["attempt"]) == (epoch, epoch)
    # The base was tried again once its pause was over, after the other model.
    assert measured["completed_at"] < baseline["completed_at"]


@pytest.mark.parametrize("overrides", [{"generations": 0}], ids=["no-answers"])
async def test_an_evaluation_whose_child_always_dies_ends(site: Site, row_of: RowOf) -> None:
    await site.queue(command_rows(800))
    async with evaluator(site):
        for _ in range(3):
            (await in_the_middle(site, row_of)).kill()

            async def is_put_down() -> bool:
                return bool((await site.evaluations())[0]["status"] != "running")

            await eventually(is_put_down)
        baseline, measured = await site.ended()
    assert (baseline["status"], measured["status"]) == ("failed", "completed")
    assert (baseline["error"]["code"], baseline["error"]["blame"]) == ("child_died", "infra")
    assert str((await site.events.wait_for(EvaluationFailed)).evaluation_id) == baseline["id"]


async def test_a_stopped_worker_gives_its_evaluation_back(site: Site, row_of: RowOf) -> None:
    await site.queue(command_rows(2000))
    async with evaluator(site) as (worker, task):
        child = await in_the_middle(site, row_of)
        worker.stop()
        await asyncio.wait_for(task, 15)
    assert not child.is_running()
    baseline, _ = await site.evaluations()
    assert baseline["status"] == "queued"
    assert (await row_of(baseline["id"]))["attempt"] == 0
    assert list((site.folder / "work" / "jobs").iterdir()) == []


async def test_an_idle_child_is_ended(site: Site) -> None:
    await site.queue(command_rows(4))
    async with evaluator(site, idle_s=0.1):
        evaluations = await site.ended()

        async def is_gone() -> bool:
            return measuring_child() is None

        assert await eventually(is_gone)
    assert [item["status"] for item in evaluations] == ["completed"] * 2


async def test_what_a_user_has_to_mend_does_not_cost_the_child(site: Site) -> None:
    await site.queue([{"text": ""}], row_format="text")
    async with evaluator(site):
        evaluations = await site.ended()
        assert measuring_child() is not None
    assert [item["error"]["blame"] for item in evaluations] == ["user"] * 2
