"""Benchmark suites: read from files, run by the worker with lm-eval, stored like any evaluation."""

import math
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from slm_shared.events.catalogue import EvaluationCompleted
from slm_shared.identity.principal import Role
from tests.support.evaluation import Rows, Site, WarmWork, evaluator

FOLDER = Path(__file__).parent / "suites"
ROWS: Rows = [
    {"prompt": f"{number} minute timer", "completion": f'{{"action":"timer","minutes":{number}}}'}
    for number in range(3, 15)
]

WithFolder = pytest.mark.parametrize("overrides", [{"suites_folder": FOLDER, "generations": 0}], ids=["own-suites"])


async def ask(site: Site, suite: str) -> dict[str, Any]:
    """Ask for a suite about the rows that the newest tuned model was measured on."""
    (tuned,) = await site.queue(ROWS)
    queued = (await site.evaluations())[-1]
    rows = queued["dataset"]
    await site.know_dataset(tuned)
    body = {"model": tuned.name, "dataset": rows["id"], "suite": suite}
    answer = await site.user.post("/api/evaluations", json=body)
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_suite_is_run_and_stored_like_any_evaluation(site: Site, warm: WarmWork) -> None:
    made = await ask(site, "answers")
    async with evaluator(site, work=warm):
        await site.ended()
    found = (await site.user.get(f"/api/evaluations/{made['id']}")).json()
    assert (found["status"], found["rows"], found["error"]) == ("completed", 36, None)
    metrics = found["metrics"]
    assert set(metrics) == {"answer_bits.bits_per_byte", "answer_likelihood.acc", "answer_exact.exact_match"}
    assert metrics["answer_bits.bits_per_byte"] > 0
    assert all(math.isfinite(value) for value in metrics.values())
    report = found["report"]
    assert (report["suite"], report["lm_eval"]) == ("answers", version("lm-eval"))
    assert {name: (task["version"], task["rows"], task["few_shot"]) for name, task in report["tasks"].items()} == {
        "answer_bits": ("1", 12, 0), "answer_likelihood": ("1", 12, 0), "answer_exact": ("1", 12, 0),
    }  # fmt: skip
    assert report["tasks"]["answer_exact"]["higher_is_better"] == {"exact_match": True}
    told = [event for event in await site.events.all(EvaluationCompleted) if str(event.evaluation_id) == made["id"]]
    assert [event.metrics for event in told] == [metrics]
    refused = await site.user.get(f"/api/evaluations/{made['id']}/predictions")
    assert (refused.status_code, refused.json()["code"]) == (409, "evaluation_not_ready")


@WithFolder
async def test_the_suites_of_a_folder_say_how_they_are_run(site: Site, warm: WarmWork) -> None:
    made = await ask(site, "few")
    async with evaluator(site, work=warm):
        await site.ended()
    found = (await site.user.get(f"/api/evaluations/{made['id']}")).json()
    task = found["report"]["tasks"]["timers"]
    assert (found["status"], task["version"], task["rows"], task["few_shot"]) == ("completed", "3", 5, 2)


@WithFolder
async def test_a_task_whose_data_cannot_be_had_says_what_to_do(site: Site, warm: WarmWork) -> None:
    made = await ask(site, "hub")
    async with evaluator(site, work=warm):
        await site.ended()
    found = (await site.user.get(f"/api/evaluations/{made['id']}")).json()
    assert (found["status"], found["error"]["code"], found["error"]["blame"]) == (
        "failed", "suite_task_unavailable", "user",
    )  # fmt: skip
    assert "HF_HUB_OFFLINE" in found["error"]["message"]


async def test_a_worker_without_the_extra_says_what_to_install(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What an interpreter runs first makes the package one that cannot be found.
    (tmp_path / "sitecustomize.py").write_text('import sys\nsys.modules["lm_eval"] = None\n')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    made = await ask(site, "answers")
    async with evaluator(site):
        await site.ended()
    found = (await site.user.get(f"/api/evaluations/{made['id']}")).json()
    assert (found["status"], found["error"]["code"], found["error"]["blame"]) == (
        "failed", "suites_not_installed", "user",
    )  # fmt: skip
    assert "slm-platform[suites]" in found["error"]["message"]


@WithFolder
async def test_suites_are_listed(site: Site, as_role: Callable[[Role | None], Awaitable[Any]]) -> None:
    viewer = await as_role(Role.VIEWER)
    items = {each["name"]: each for each in (await viewer.get("/api/evaluations:suites")).json()["items"]}
    assert set(items) == {"answers", "few", "hub"}
    assert (items["few"]["tasks"], items["few"]["local"], items["few"]["limit"]) == (["timers"], ["timers"], 5)
    assert (items["hub"]["tasks"], items["hub"]["local"]) == (["arc_easy"], [])


async def test_what_is_no_suite_is_refused(site: Site) -> None:
    (tuned,) = await site.queue(ROWS)
    await site.know_dataset(tuned)
    body = {"model": tuned.name, "dataset": str(tuned.evaluation_dataset_id)}
    missing = await site.user.post("/api/evaluations", json=body | {"suite": "beauty"})
    assert (missing.status_code, missing.json()["code"]) == (404, "suite_not_found")
    for wrong in ({"suite": "../secrets"}, {"suite": "answers", "metrics": ["loss"]}):
        assert (await site.user.post("/api/evaluations", json=body | wrong)).status_code == 422
