"""What an OpenLineage backend is told: each job once, in order, by the transport that is configured."""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx2

from slm_registry.service.emitting import OpenLineageEmitter
from slm_registry.settings import RegistrySettings
from slm_shared.events.catalogue import EvaluationCompleted, EvaluationFailed, ExperimentFailed, RunLaunched
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
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
