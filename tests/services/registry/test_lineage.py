"""The lineage in both directions, at any time; the journal, and what follows from it."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import text

from slm_registry.service import journal
from slm_registry.settings import RegistrySettings
from slm_shared.events.catalogue import (
    DatasetProcessed,
    EvaluationCompleted,
    EvaluationRegressed,
    ExperimentFailed,
    ExperimentStarted,
    ModelRegistered,
    RunLaunched,
)
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_testing.events import EventLog
from tests.support.registry import Artifact, Settled, registered, scored

PROJECTIONS = ("dataset", "evaluation", "lineage_node", "lineage_edge")


@pytest.fixture
async def database(settings: RegistrySettings) -> AsyncIterator[Database]:
    """The registry's own database."""
    database = Database(settings.database_url, answer_within_s=settings.platform.answer_within_s)
    yield database
    await database.close()


@pytest.fixture
async def chain(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, artifact: Artifact, settled: Settled
) -> list[ModelRegistered]:
    """`first` of orders-v1, `second` made from it with letters-v1, and scores of both."""
    first = await registered(events, artifact.experiment(base_id, family="first"))
    data = {"training_dataset_name": "letters-v1", "training_dataset_id": new_id()}
    second = await registered(
        events, artifact.experiment(first.model_id, family="second", base_model_name="first-v1", **data)
    )
    for model in (first, second):
        await events.publish(
            scored(model.model_id, model.name, model.evaluation_dataset_id, "orders-eval-v2", loss=0.5)
        )
    await settled(EvaluationCompleted)
    return [first, second]


async def lineage(client: httpx2.AsyncClient, reference: str, **query: str | int) -> dict[str, Any]:
    """A graph."""
    answer = await client.get(f"/api/models/{reference}/lineage", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def names(graph: dict[str, Any], *types: str) -> set[str]:
    """The names of a graph's nodes of some types."""
    return {node["name"] for node in graph["nodes"] if node["type"] in types}


async def test_a_lineage_goes_up_to_the_first_rows_and_down_to_the_last_model(
    client: httpx2.AsyncClient, chain: list[ModelRegistered]
) -> None:
    up = await lineage(client, "second-v1")
    assert names(up, "model") == {"second-v1", "first-v1", "nano-v1"}
    assert names(up, "dataset") == {"letters-v1", "orders-v1", "orders-eval-v2"}
    down = await lineage(client, "nano-v1", direction="down")
    assert names(down, "model") == {"nano-v1", "first-v1", "second-v1"}
    assert names(down, "evaluation") == {"first-v1 on orders-eval-v2", "second-v1 on orders-eval-v2"}
    assert names(down, "alias") == {"nano@latest", "first@latest", "second@latest"}
    near = await lineage(client, "first-v1", direction="both", depth=1)
    assert names(near, "model") == {"first-v1"}
    assert names(near, "run", "experiment", "alias") == {"Commands, small", "first@latest"}


async def test_every_edge_leads_between_nodes_of_the_graph(
    client: httpx2.AsyncClient, chain: list[ModelRegistered]
) -> None:
    graph = await lineage(client, "first-v1", direction="both")
    ids = {node["id"] for node in graph["nodes"]}
    assert {end for edge in graph["edges"] for end in (edge["source"], edge["target"])} <= ids
    assert graph["truncated"] is False


async def test_models_are_found_by_the_rows_they_contain(
    client: httpx2.AsyncClient, chain: list[ModelRegistered]
) -> None:
    async def containing(dataset: object) -> list[str]:
        answer = await client.get("/api/models:containing", params={"dataset": str(dataset)})
        assert answer.status_code == 200, answer.text
        return [model["name"] for model in answer.json()["models"]]

    assert await containing("orders-v1") == ["first-v1", "second-v1"]
    assert await containing("letters-v1") == ["second-v1"]
    # Rows that a model was only measured on are not in it.
    assert await containing(chain[0].evaluation_dataset_id) == []
    assert (await client.get("/api/models:containing?dataset=none")).json()["code"] == "lineage_node_not_found"


async def test_anything_has_a_lineage(client: httpx2.AsyncClient, chain: list[ModelRegistered]) -> None:
    for node in (chain[0].run_id, chain[0].experiment_id, chain[0].training_dataset_id, "letters-v1", "first@latest"):
        answer = await client.get("/api/models:lineage", params={"node": str(node), "direction": "both"})
        assert {"second-v1", "first-v1"} & names(answer.json(), "model"), node
    mermaid = await client.get("/api/models:lineage?node=letters-v1&format=mermaid")
    assert mermaid.text.startswith("flowchart LR\n")


async def test_a_lineage_is_told_as_it_was_known(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, artifact: Artifact, chain: list[ModelRegistered]
) -> None:
    before = max(edge["at"] for edge in (await lineage(client, "first-v1", direction="both"))["edges"])
    later = await registered(events, artifact.experiment(base_id, family="first"))
    now = await lineage(client, "nano-v1", direction="down")
    then = await lineage(client, "nano-v1", direction="down", as_of=before)
    assert names(now, "model") - names(then, "model") == {later.name}
    leads = {(edge["source"], edge["target"]) for edge in now["edges"] if edge["target"] == "first@latest"}
    led = {(edge["source"], edge["target"]) for edge in then["edges"] if edge["target"] == "first@latest"}
    assert leads == {(str(later.model_id), "first@latest")}
    assert led == {(str(chain[0].model_id), "first@latest")}
    assert datetime.fromisoformat(before).tzinfo is not None


async def test_the_timeline_of_a_model_tells_it_all(
    client: httpx2.AsyncClient, events: EventLog, chain: list[ModelRegistered], settled: Settled
) -> None:
    first = chain[0]
    await client.put("/api/models/first-v1/aliases/staging")
    await client.request("PATCH", "/api/models/first-v1", json={"tags": ["a"]}, headers={"If-Match": "*"})
    await events.publish(regression(first))
    await settled(EvaluationRegressed)
    found = (await client.get("/api/models/first-v1/timeline")).json()
    assert [each["type"] for each in found["items"]] == [
        "evaluation.regressed", "model.edited", "alias.moved", "evaluation.completed", "alias.moved",
        "model.registered",
    ]  # fmt: skip
    page = (await client.get("/api/models/first-v1/timeline?limit=4")).json()
    rest = (await client.get(f"/api/models/first-v1/timeline?before={page['next_before']}")).json()
    assert page["items"] + rest["items"] == found["items"]
    card = (await client.get("/api/models/first-v1/card")).json()
    assert [each["differences"] for each in card["regressions"]] == [{"loss": 0.25}]


def regression(model: ModelRegistered) -> EvaluationRegressed:
    """A model that is worse than another."""
    return EvaluationRegressed(
        evaluation_id=new_id(),
        model_id=model.model_id,
        model_name=model.name,
        dataset_id=new_id(),
        dataset_name="orders-eval-v2",
        predecessor_evaluation_id=new_id(),
        predecessor_model_id=new_id(),
        predecessor_model_name="first-v0",
        differences={"loss": 0.25},
        low={"loss": 0.125},
        high={"loss": 0.375},
    )


async def everything(database: Database) -> dict[str, list[Any]]:
    """Every row of every projection."""
    found = {}
    async with database.read() as session:
        for table in PROJECTIONS:
            rows = await session.execute(text(f"SELECT * FROM {table} ORDER BY {table}::text"))
            found[table] = [tuple(row) for row in rows]
    return found


async def test_the_projections_follow_from_the_journal_alone(
    client: httpx2.AsyncClient,
    base_id: UUID,
    events: EventLog,
    chain: list[ModelRegistered],
    settled: Settled,
    database: Database,
) -> None:
    """Drop them, draw them anew, and nothing is different."""
    run, experiment = new_id(), new_id()
    dataset = DatasetProcessed(
        dataset_id=new_id(),
        name="late-v1",
        family="late",
        version=1,
        usage="training",
        data_type="text",
        row_format="text",
        columns=["text"],
        rows=1,
        size_bytes=1,
        sha256="a" * 64,
        object_key="x",
    )
    launched = RunLaunched(
        run_id=run,
        experiment_id=experiment,
        name="In vain",
        base_model_id=base_id,
        base_model_name="nano-v1",
        method="lora",
        training_dataset_id=dataset.dataset_id,
    )
    # The run is known before its rows are, so the node of the rows learns its name later.
    await events.publish(launched)
    await settled(RunLaunched)
    await events.publish(dataset)
    await events.publish(ExperimentStarted(experiment_id=experiment, run_id=run, attempt=1, epoch=1, worker="w"))
    failed = ExperimentFailed(experiment_id=experiment, run_id=run, code="x", message="It broke.", blame="user")
    await events.publish(failed)
    for event in (DatasetProcessed, ExperimentStarted, ExperimentFailed):
        await settled(event)
    for name in ("first-v1", "second-v1"):
        await client.put(f"/api/models/{name}/aliases/staging")
    await client.delete("/api/models/second-v1/aliases/staging")
    before = await everything(database)
    assert all(before.values())
    async with database.transaction() as session:
        assert await journal.rebuild(session) > 10
    assert await everything(database) == before
    graph = (await client.get("/api/models:lineage?node=late-v1")).json()
    assert names(graph, "dataset", "run", "attempt") == {"late-v1", "In vain", "attempt 1"}


async def test_the_jobs_of_a_model_are_told_in_openlineage(
    client: httpx2.AsyncClient, chain: list[ModelRegistered]
) -> None:
    found = await client.get("/api/models/second-v1/lineage?format=openlineage")
    trained, measured = found.json()
    assert (trained["eventType"], trained["job"]["name"]) == ("COMPLETE", "train.Commands, small")
    assert trained["run"]["runId"] == str(chain[1].experiment_id)
    assert [each["name"] for each in trained["inputs"]] == ["letters-v1", "first-v1"]
    (output,) = trained["outputs"]
    assert output["name"] == "second-v1"
    assert output["facets"]["version"]["datasetVersion"] == chain[1].manifest_sha256
    assert (measured["job"]["name"], measured["eventType"]) == ("evaluate.second-v1", "COMPLETE")
