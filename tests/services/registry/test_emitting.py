"""What an OpenLineage backend is told: each job once, in order, by the transport that is configured."""

import json
from pathlib import Path
from uuid import UUID

import httpx2

from slm_registry.service.emitting import OpenLineageEmitter
from slm_registry.settings import RegistrySettings
from slm_shared.database import Database
from slm_shared.events import EvaluationCompleted, ExperimentFailed, RunLaunched
from slm_shared.ids import new_id
from slm_shared.testing import EventLog
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
    await events.publish(scored(made.model_id, made.name, None, "held-out-v1", loss=0.5))
    await settled(EvaluationCompleted)
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
        ("COMPLETE", "evaluate.commands-v1"),
    ]
    runs_told = [line["run"]["runId"] for line in lines]
    assert runs_told[:4] == [str(runs[0][1]), str(runs[1][1])] * 2
    assert "row_format" in lines[3]["run"]["facets"]["errorMessage"]["message"]
    assert await emitter.emit_some() == 0
    await database.close()
