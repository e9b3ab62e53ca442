"""What an OpenLineage backend is told: each job once, in order, by the transport that is configured."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI, Request
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from starlette.responses import Response

from slm_registry.service.emitting import OpenLineageEmitter
from slm_registry.settings import RegistrySettings
from slm_shared.events.catalogue import EvaluationCompleted, EvaluationFailed, ExperimentFailed, RunLaunched
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_testing.apps import serving
from slm_testing.events import EventLog
from tests.support.registry import Artifact, Settled, registered, scored


async def test_jobs_are_emitted_once(
    client: httpx2.AsyncClient,
    base_id: UUID,
    events: EventLog,
    artifact: Artifact,
    settled: Settled,
    settings: RegistrySettings,
    tmp_path: Path,
) -> None:
    experiment = artifact.experiment(base_id)
    runs = [(experiment.run_id, experiment.experiment_id, "Commands, small"), (new_id(), new_id(), "In vain")]
    for run_id, experiment_id, name in runs:
        await events.publish(
            RunLaunched(
                run_id=run_id,
                experiment_id=experiment_id,
                name=name,
                base_model_id=base_id,
                base_model_name="nano-v1",
                method="lora",
                training_dataset_id=experiment.training_dataset_id,
            )
        )
        await settled(RunLaunched)
    made = await registered(events, experiment)
    failed = ExperimentFailed(
        experiment_id=runs[1][1], run_id=runs[1][0], code="row_format", message="Rows are odd.", blame="user"
    )
    await events.publish(failed)
    await settled(ExperimentFailed)
    began = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    done = scored(made.model_id, made.name, None, "held-out-v1", loss=0.5)
    await events.publish(done.model_copy(update={"started_at": began}))
    await settled(EvaluationCompleted)
    given_up = EvaluationFailed(
        evaluation_id=new_id(),
        model_id=made.model_id,
        dataset_id=done.dataset_id,
        code="child_died",
        message="It ended.",
        model_name=made.name,
        dataset_name="held-out-v1",
        started_at=began,
    )
    await events.publish(given_up)
    await settled(EvaluationFailed)
    told = tmp_path / "events.jsonl"
    database = Database(settings.database_url, answer_within_s=settings.platform.answer_within_s)
    transport = {"type": "file", "log_file_path": str(told), "append": True}
    emitter = OpenLineageEmitter(database, transport)
    while await emitter.emit_some():
        pass
    lines = [json.loads(line) for line in told.read_text().splitlines()]
    assert [(line["eventType"], line["job"]["name"]) for line in lines] == [
        ("START", "train.Commands, small"),
        ("START", "train.In vain"),
        ("COMPLETE", "train.Commands, small"),
        ("FAIL", "train.In vain"),
        ("START", "evaluate.commands-v1"),
        ("COMPLETE", "evaluate.commands-v1"),
        ("START", "evaluate.commands-v1"),
        ("FAIL", "evaluate.commands-v1"),
    ]
    assert (lines[4]["eventTime"], lines[4]["inputs"][1]["name"]) == ("2026-01-02T03:04:05Z", "held-out-v1")
    assert lines[7]["run"]["facets"]["errorMessage"]["message"] == "child_died: It ended."
    runs_told = [line["run"]["runId"] for line in lines]
    assert runs_told[4:] == [str(done.evaluation_id)] * 2 + [str(given_up.evaluation_id)] * 2
    assert runs_told[:4] == [str(runs[0][1]), str(runs[1][1])] * 2
    assert "row_format" in lines[3]["run"]["facets"]["errorMessage"]["message"]
    assert await emitter.emit_some() == 0
    await database.close()


class Backend:
    """An OpenLineage backend: the jobs it was told of, which it may refuse, and may take its time for."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.refused: set[str] = set()
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.may_answer.set()
        self.app = FastAPI()
        self.app.add_api_route("/api/v1/lineage", self.take, methods=["POST"])

    async def take(self, request: Request) -> Response:
        job = (await request.json())["job"]["name"]
        self.asked.set()
        await self.may_answer.wait()
        if job in self.refused:
            return Response(status_code=400)
        self.told.append(job)
        return Response(status_code=201)


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
async def address(backend: Backend) -> AsyncIterator[str]:
    async with serving(backend.app) as address:
        yield address


@pytest.fixture
async def database(settings: RegistrySettings) -> AsyncIterator[Database]:
    database = Database(settings.database_url, answer_within_s=settings.platform.answer_within_s)
    yield database
    await database.close()


@pytest.fixture
async def jobs(client: httpx2.AsyncClient, database: Database) -> list[str]:
    """Three runs that were launched, and nothing else to tell."""
    names = ["first", "second", "third"]
    async with database.transaction() as session:
        await session.execute(text("UPDATE fact SET emitted_at = clock_timestamp()"))
        for name in names:
            body = {"experiment_id": str(new_id()), "name": name, "base_model_name": "nano-v1"}
            statement = text("INSERT INTO fact (subject, body) VALUES ('run.launched', cast(:body AS jsonb))")
            await session.execute(statement, {"body": json.dumps(body)})
    return [f"train.{name}" for name in names]


def emitter_to(address: str, database: Database) -> OpenLineageEmitter:
    return OpenLineageEmitter(database, {"type": "http", "url": address})


async def test_nothing_is_locked_while_the_backend_answers(
    backend: Backend, address: str, database: Database, jobs: list[str]
) -> None:
    backend.may_answer.clear()
    emitting = asyncio.create_task(emitter_to(address, database).emit_some())
    await backend.asked.wait()
    try:
        async with database.transaction() as session:
            await session.execute(text("SELECT seq FROM fact FOR UPDATE NOWAIT"))
    except DBAPIError as error:
        pytest.fail(f"facts are locked: {error.orig}")
    finally:
        backend.may_answer.set()
        assert await emitting == 3
    assert backend.told == jobs


async def test_what_the_backend_has_taken_is_not_told_again_when_it_refuses_the_next(
    backend: Backend, address: str, database: Database, jobs: list[str]
) -> None:
    backend.refused = {jobs[1]}
    emitter = emitter_to(address, database)
    for _ in range(2):
        with pytest.raises(Exception, match="400"):
            await emitter.emit_some()
    backend.refused = set()
    assert await emitter.emit_some() == 2
    assert backend.told == jobs


async def test_two_registries_do_not_tell_the_same_at_once(
    backend: Backend, address: str, database: Database, jobs: list[str]
) -> None:
    backend.may_answer.clear()
    first = asyncio.create_task(emitter_to(address, database).emit_some())
    await backend.asked.wait()
    assert await emitter_to(address, database).emit_some() == 0
    backend.may_answer.set()
    assert await first == 3
    assert await emitter_to(address, database).emit_some() == 0
    assert backend.told == jobs


async def test_a_registry_that_dies_while_it_emits_loses_nothing(
    backend: Backend, address: str, database: Database, jobs: list[str]
) -> None:
    emitter = emitter_to(address, database)
    async with database.transaction() as session:
        claimed = "UPDATE emission SET claim_expires_at = clock_timestamp() + interval '5 minutes'"
        await session.execute(text(claimed))
    assert await emitter.emit_some() == 0
    async with database.transaction() as session:
        await session.execute(text("UPDATE emission SET claim_expires_at = clock_timestamp()"))
    assert await emitter.emit_some() == 3
    assert backend.told == jobs
