"""Evaluations that somebody asks for: queued, called off, tried again, compared; regressions are told of."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from slm_shared.events.catalogue import DatasetProcessed, EvaluationRegressed, ModelDeleted, ModelRegistered
from slm_shared.identity.principal import Role
from slm_shared.settings import PlatformSettings
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore
from slm_testing.events import EventLog
from slm_testing.waiting import eventually

Make = Callable[..., ModelRegistered]
Claim = Callable[..., Awaitable[dict[str, Any] | None]]
Tell = Callable[..., Awaitable[httpx2.Response]]
Handled = Callable[[], Awaitable[None]]


def dataset(name: str = "letters-v1") -> DatasetProcessed:
    """A processed dataset."""
    return DatasetProcessed(
        dataset_id=new_id(),
        name=name,
        family=name.rpartition("-")[0],
        version=1,
        usage="evaluation",
        data_type="text",
        row_format="prompt/completion",
        columns=["prompt", "completion"],
        rows=4,
        size_bytes=10,
        sha256="ef" * 32,
        object_key=f"datasets/{new_id()}/canonical.parquet",
    )


@pytest.fixture
async def known(
    user: httpx2.AsyncClient, events: EventLog, base_model: Make, handled: Handled
) -> tuple[ModelRegistered, DatasetProcessed]:
    """A model and a dataset that the service has heard of."""
    model, rows = base_model(), dataset()
    await events.publish(model)
    await events.publish(rows)
    await handled()
    body = {"model": "nano-v1", "dataset": rows.name, "generations": 0}

    async def is_known() -> bool:
        # Asked for and called off again: only then both projections are there.
        answer = await user.post("/api/evaluations", json=body)
        return answer.status_code == 202

    await eventually(is_known)
    first = (await user.get("/api/evaluations")).json()["items"][0]
    await user.post(f"/api/evaluations/{first['id']}:cancel")
    return model, rows


async def ask(user: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    """Ask for an evaluation of the known model on the known dataset."""
    answer = await user.post("/api/evaluations", json={"model": "nano-v1", "dataset": "letters-v1", **body})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_any_model_is_measured_on_any_dataset(
    user: httpx2.AsyncClient, known: tuple[ModelRegistered, DatasetProcessed], claim: Claim
) -> None:
    model, rows = known
    made = await ask(user, metrics=["loss", "bleu"])
    assert (made["status"], made["owner"]) == ("queued", "tester")
    assert made["settings"] == {
        "max_length": 1024, "max_new_tokens": 96, "generations": 64, "metrics": ["bleu", "loss"],
    }  # fmt: skip
    lease = await claim()
    assert lease is not None
    assert (lease["evaluation_id"], lease["model"]["id"]) == (made["id"], str(model.model_id))
    assert (lease["dataset"]["object_key"], lease["dataset"]["sha256"]) == (rows.object_key, rows.sha256)
    assert lease["settings"]["metrics"] == ["bleu", "loss"]


async def test_the_same_question_has_one_answer(
    user: httpx2.AsyncClient, known: tuple[ModelRegistered, DatasetProcessed]
) -> None:
    first = await ask(user, metrics=["loss", "bleu"])
    again = await ask(user, model=str(known[0].model_id), metrics=["bleu", "loss", "loss"])
    other = await ask(user, metrics=["loss"])
    assert first["id"] == again["id"] != other["id"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"metrics": []}, 422),
        ({"metrics": ["beauty"]}, 422),
        ({"generations": -1}, 422),
        ({"max_length": True}, 422),
        ({"status": "completed"}, 422),
    ],
)
async def test_wrong_requests_are_refused(user: httpx2.AsyncClient, body: dict[str, Any], status: int) -> None:
    answer = await user.post("/api/evaluations", json={"model": "nano-v1", "dataset": "letters-v1", **body})
    assert answer.status_code == status


async def test_a_deleted_model_is_measured_no_more(
    user: httpx2.AsyncClient, events: EventLog, known: tuple[ModelRegistered, DatasetProcessed]
) -> None:
    model, _ = known
    await events.publish(ModelDeleted(model_id=model.model_id, name=model.name, family="nano", version=1))

    async def is_refused() -> bool:
        body = {"model": "nano-v1", "dataset": "letters-v1"}
        return (await user.post("/api/evaluations", json=body)).status_code == 404

    assert await eventually(is_refused)


async def test_a_viewer_may_not_ask(
    as_role: Callable[[Role | None], Awaitable[httpx2.AsyncClient]],
) -> None:
    viewer = await as_role(Role.VIEWER)
    assert (await viewer.post("/api/evaluations", json={"model": "a", "dataset": "b"})).status_code == 403


async def test_what_waits_is_called_off_at_once_and_may_be_wanted_again(
    user: httpx2.AsyncClient, known: tuple[ModelRegistered, DatasetProcessed], claim: Claim
) -> None:
    made = await ask(user)
    for _ in range(2):
        gone = (await user.post(f"/api/evaluations/{made['id']}:cancel")).json()
        assert gone["status"] == "cancelled"
    assert await claim() is None
    again = (await user.post(f"/api/evaluations/{made['id']}:retry")).json()
    assert (again["status"], again["completed_at"], again["cancel_requested"]) == ("queued", None, False)
    lease = await claim()
    assert lease is not None
    assert lease["evaluation_id"] == made["id"]
    refused = await user.post(f"/api/evaluations/{made['id']}:retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "evaluation_not_retryable")


async def test_what_runs_is_called_off_through_its_worker(
    user: httpx2.AsyncClient, known: tuple[ModelRegistered, DatasetProcessed], claim: Claim, tell: Tell
) -> None:
    made = await ask(user)
    lease = await claim()
    assert lease is not None
    assert (await tell(lease, "heartbeat")).json()["cancel"] is False
    assert (await user.post(f"/api/evaluations/{made['id']}:cancel")).json()["status"] == "running"
    assert (await tell(lease, "heartbeat")).json()["cancel"] is True
    assert (await tell(lease, "release")).status_code == 204
    assert (await user.get(f"/api/evaluations/{made['id']}")).json()["status"] == "cancelled"


async def test_what_has_its_numbers_cannot_be_called_off(
    user: httpx2.AsyncClient, known: tuple[ModelRegistered, DatasetProcessed], claim: Claim, tell: Tell
) -> None:
    made = await ask(user)
    lease = await claim()
    assert lease is not None
    result: dict[str, Any] = {"rows": 4, "metrics": {"loss": 1.5, "token_accuracy": 0.5}, "samples": []}
    assert (await tell(lease, "complete", **result)).status_code == 204
    refused = await user.post(f"/api/evaluations/{made['id']}:cancel")
    assert (refused.status_code, refused.json()["code"]) == (409, "evaluation_finished")
    metrics = (await user.get(f"/api/evaluations/{made['id']}")).json()["metrics"]
    assert metrics == {"loss": 1.5, "token_accuracy": 0.5, "quality_score": 0.5}


async def finish(
    lease: dict[str, Any], tell: Tell, objects: ObjectStore, losses: list[float], *, exact: list[float]
) -> None:
    """Report a measurement with predictions and their index, as a worker writes them."""
    samples = [
        {"prompt": f"p{n}", "expected": "x", "generated": "x", "exact": bool(hit), "row": n, "loss": loss / 2}
        for n, (loss, hit) in enumerate(zip(losses, exact, strict=True))
    ]
    lines = [(json.dumps(each) + "\n").encode() for each in samples]
    offsets = [sum(map(len, lines[:n])) for n in range(len(lines))]
    columns = {
        "row": list(range(len(losses))), "loss": losses, "right": [1] * len(losses), "tokens": [2] * len(losses),
        "exact_match": exact, "offset": offsets, "length": [len(line) for line in lines],
    }  # fmt: skip
    index = {"format": "slm-predictions/1", "rows": len(losses), "answered": len(losses), "columns": columns}
    prefix = lease["predictions_prefix"]
    await objects.put_bytes(f"{prefix}/predictions.jsonl", b"".join(lines))
    await objects.put_bytes(f"{prefix}/index.json", json.dumps(index).encode())
    metrics = {"loss": sum(losses) / 2 / len(losses), "exact_match": sum(exact) / len(exact), "tokens_per_s": 9.0}
    result = {"rows": len(losses), "metrics": metrics, "samples": samples[:5]}
    answer = await tell(lease, "complete", **result, predictions_key=f"{prefix}/predictions.jsonl")
    assert answer.status_code == 204, answer.text


@pytest.fixture
async def successors(
    user: httpx2.AsyncClient,
    events: EventLog,
    base_model: Make,
    tuned_model: Make,
    handled: Handled,
    claim: Claim,
) -> list[dict[str, Any]]:
    """Leases of a base and of three versions of one family, all on the same rows, in this order."""
    base, dataset_id = base_model(), new_id()
    await events.publish(base)
    await handled()
    for number in (1, 2, 3):
        await events.publish(tuned_model(base, dataset_id=dataset_id, name=f"commands-v{number}", version=number))
        await handled()
    leases = [await claim(worker=f"evaluator-{number}") for number in range(4)]
    assert [lease["model"]["name"] for lease in leases if lease] == ["nano-v1", *(f"commands-v{n}" for n in (1, 2, 3))]
    return [lease for lease in leases if lease]


async def test_two_evaluations_are_compared_row_by_row(
    user: httpx2.AsyncClient, successors: list[dict[str, Any]], tell: Tell, platform_settings: PlatformSettings
) -> None:
    objects = ObjectStore(platform_settings)
    first, second, third, _ = successors
    await finish(first, tell, objects, [4.0, 6.0, 5.0, 5.0], exact=[0, 0, 0, 0])
    await finish(second, tell, objects, [2.0, 4.0, 2.5, 3.0], exact=[1, 0, 1, 0])
    query = {"first": first["evaluation_id"], "second": second["evaluation_id"]}
    found = (await user.get("/api/evaluations:compare", params=query)).json()
    assert (found["confidence"], found["first"]["model"]["name"]) == (0.95, "nano-v1")
    metrics = {each["name"]: each for each in found["metrics"]}
    loss = metrics["loss"]
    assert (loss["first"], loss["second"], loss["rows"], loss["verdict"]) == (2.5, 1.4375, 4, "better")
    assert loss["low"] < loss["difference"] == -1.0625 < loss["high"] < 0
    assert metrics["exact_match"]["low"] <= 0.5 <= metrics["exact_match"]["high"]
    assert metrics["tokens_per_s"]["verdict"] is None
    unfinished = query | {"second": third["evaluation_id"]}
    answer = await user.get("/api/evaluations:compare", params=unfinished)
    assert (answer.status_code, answer.json()["code"]) == (409, "evaluation_not_ready")


async def test_other_rows_are_not_compared(
    user: httpx2.AsyncClient, known: tuple[ModelRegistered, DatasetProcessed], successors: list[dict[str, Any]]
) -> None:
    made = await ask(user)
    query = {"first": made["id"], "second": successors[0]["evaluation_id"]}
    answer = await user.get("/api/evaluations:compare", params=query)
    assert (answer.status_code, answer.json()["code"]) == (422, "evaluations_not_comparable")


async def test_a_model_worse_than_its_predecessor_is_told_of(
    successors: list[dict[str, Any]], tell: Tell, events: EventLog, platform_settings: PlatformSettings
) -> None:
    objects = ObjectStore(platform_settings)
    _, first, second, third = successors
    rows = [1.0 + n / 100 for n in range(40)]
    await finish(first, tell, objects, rows, exact=[1.0] * 40)
    await finish(second, tell, objects, [each - 0.01 for each in rows], exact=[1.0] * 40)
    await finish(third, tell, objects, [each + 0.5 for each in rows], exact=[1.0] * 20 + [0.0] * 20)
    told = await events.wait_for(EvaluationRegressed)
    assert [event.model_name for event in await events.all(EvaluationRegressed)] == ["commands-v3"]
    assert (told.predecessor_model_name, str(told.predecessor_evaluation_id)) == (
        "commands-v2", second["evaluation_id"],
    )  # fmt: skip
    assert set(told.differences) == {"loss", "exact_match"}
    assert told.differences["loss"] == pytest.approx(0.255)
    assert 0 < told.low["loss"] <= told.differences["loss"] <= told.high["loss"]


async def test_a_model_is_told_of_when_its_predecessor_is_measured_after_it(
    successors: list[dict[str, Any]], tell: Tell, events: EventLog, platform_settings: PlatformSettings
) -> None:
    objects = ObjectStore(platform_settings)
    _, first, second, third = successors
    rows = [1.0 + n / 100 for n in range(40)]
    await finish(third, tell, objects, [each + 0.5 for each in rows], exact=[1.0] * 40)
    await finish(first, tell, objects, [each + 0.5 for each in rows], exact=[1.0] * 40)
    assert await events.all(EvaluationRegressed) == []
    await finish(second, tell, objects, rows, exact=[1.0] * 40)
    told = await events.wait_for(EvaluationRegressed)
    assert (told.model_name, str(told.evaluation_id)) == ("commands-v3", third["evaluation_id"])
    assert told.predecessor_model_name == "commands-v2"
    assert told.differences["loss"] == pytest.approx(0.25)


async def test_predictions_are_read_worst_first_and_downloaded(
    user: httpx2.AsyncClient, successors: list[dict[str, Any]], tell: Tell, platform_settings: PlatformSettings
) -> None:
    lease = successors[0]
    await finish(lease, tell, ObjectStore(platform_settings), [4.0, 6.0, 5.0, 3.0], exact=[1, 0, 0, 1])
    path = f"/api/evaluations/{lease['evaluation_id']}/predictions"

    async def rows(**query: Any) -> tuple[list[int], int]:
        page = (await user.get(path, params=query)).json()
        return [each["row"] for each in page["items"]], page["total"]

    assert await rows() == ([0, 1, 2, 3], 4)
    assert await rows(sort="-loss", limit=3) == ([1, 2, 0], 4)
    assert await rows(sort="-loss", limit=3, offset=3) == ([3], 4)
    assert await rows(sort="exact_match", exact="false") == ([1, 2], 2)
    assert (await user.get(path, params={"sort": "beauty"})).status_code == 422
    lines = (await user.get(f"{path}/download")).text.splitlines()
    assert [json.loads(line)["row"] for line in lines] == [0, 1, 2, 3]


async def test_lists_are_sorted_and_dated(
    user: httpx2.AsyncClient, successors: list[dict[str, Any]], tell: Tell, platform_settings: PlatformSettings
) -> None:
    objects = ObjectStore(platform_settings)
    for lease, loss in zip(successors[:3], (3.0, 1.0, 2.0), strict=True):
        await finish(lease, tell, objects, [loss], exact=[1])

    async def models(**query: str) -> list[str]:
        answer = await user.get("/api/evaluations", params=query)
        assert answer.status_code == 200, answer.text
        return [item["model"]["name"] for item in answer.json()["items"]]

    assert await models(sort="loss") == ["commands-v1", "commands-v2", "nano-v1", "commands-v3"]
    assert await models(sort="-model") == ["nano-v1", "commands-v3", "commands-v2", "commands-v1"]
    middle = (await user.get("/api/evaluations?sort=created_at")).json()["items"][2]["created_at"]
    assert await models(since=middle, sort="created_at") == ["commands-v2", "commands-v3"]
    assert await models(until=middle, sort="created_at") == ["nano-v1", "commands-v1"]
    for query in ("sort=beauty", "since=yesterday"):
        assert (await user.get(f"/api/evaluations?{query}")).status_code == 422
