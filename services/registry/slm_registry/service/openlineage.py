"""The lineage as OpenLineage events, built with the reference library.

Source: https://openlineage.io/docs/spec/run-cycle. Each training is a run of the job `train.<run name>` and each
evaluation one of `evaluate.<model>`; datasets and models are datasets of the namespace, a model with its manifest hash
as version.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet
from openlineage.client.generated.error_message_run import ErrorMessageRunFacet
from openlineage.client.generated.job_type_job import JobTypeJobFacet
from openlineage.client.serde import Serde

NAMESPACE = "slm"
PRODUCER = "urn:slm-platform"

Facts = Mapping[str, Any]


def run_events(subject: str, body: Facts, at: datetime) -> list[RunEvent]:
    """The OpenLineage events of a fact; none for a fact that is no state of a job.

    An evaluation is known once it has ended; its start is then emitted too, with the time that it had.
    """
    builder = _BUILDERS.get(subject)
    return builder(body, at.isoformat()) if builder else []


def as_json(events: Sequence[RunEvent]) -> str:
    """Events as a list in the standard's JSON."""
    return json.dumps([Serde.to_dict(event) for event in events])


def _started(body: Facts, at: str) -> list[RunEvent]:
    inputs = [_input(body["base_model_name"])]
    return [_event(RunState.START, at, body["experiment_id"], _train(body["name"]), inputs=inputs)]


def _registered(body: Facts, at: str) -> list[RunEvent]:
    if not body.get("experiment_id"):
        return []
    inputs = [_input(each["name"], each.get("sha256")) for each in (body["training_dataset"], body["base_model"])]
    output = OutputDataset(NAMESPACE, body["name"], facets=_version(body["manifest_sha256"]))
    job = _train(body["run_name"])
    return [_event(RunState.COMPLETE, at, body["experiment_id"], job, inputs=inputs, outputs=[output])]


def _failed(body: Facts, at: str) -> list[RunEvent]:
    job = _train(body.get("name") or body["run_id"])
    return [_event(RunState.FAIL, at, body["experiment_id"], job, facets=_message(body))]


def _evaluated(body: Facts, at: str) -> list[RunEvent]:
    output = OutputDataset(NAMESPACE, f"evaluations/{body['evaluation_id']}")
    return _measurement(body, at, RunState.COMPLETE, outputs=[output])


def _not_evaluated(body: Facts, at: str) -> list[RunEvent]:
    return _measurement(body, at, RunState.FAIL, facets=_message(body))


def _measurement(body: Facts, at: str, end: RunState, **facts: Any) -> list[RunEvent]:
    """Start and end of an evaluation; only its end where its start is not known."""
    job = _job(f"evaluate.{body.get('model_name') or body['model_id']}", "EVALUATION")
    inputs = [_input(body.get(f"{each}_name") or body[f"{each}_id"]) for each in ("model", "dataset")]
    events = [_event(end, at, body["evaluation_id"], job, inputs=inputs, **facts)]
    if began := body.get("started_at"):
        events.insert(0, _event(RunState.START, began, body["evaluation_id"], job, inputs=inputs))
    return events


def _message(body: Facts) -> dict[str, Any]:
    text = f"{body['code']}: {body['message']}"
    return {"errorMessage": ErrorMessageRunFacet(message=text, programmingLanguage="python")}


def _event(
    state: RunState,
    at: str,
    run_id: str,
    job: Job,
    *,
    inputs: list[InputDataset] | None = None,
    outputs: list[OutputDataset] | None = None,
    facets: dict[str, Any] | None = None,
) -> RunEvent:
    return RunEvent(
        eventType=state,
        eventTime=at,
        run=Run(runId=run_id, facets=facets or {}),
        job=job,
        inputs=inputs or [],
        outputs=outputs or [],
        producer=PRODUCER,
    )


def _train(name: str | None) -> Job:
    return _job(f"train.{name or 'unnamed'}", "TRAINING")


def _job(name: str, kind: str) -> Job:
    facet = JobTypeJobFacet(processingType="BATCH", integration="SLM", jobType=kind, producer=PRODUCER)
    return Job(NAMESPACE, name, facets={"jobType": facet})


def _input(name: str, sha256: str | None = None) -> InputDataset:
    return InputDataset(NAMESPACE, name, facets=_version(sha256) if sha256 else {})


def _version(sha256: str) -> dict[str, Any]:
    return {"version": DatasetVersionDatasetFacet(datasetVersion=sha256, producer=PRODUCER)}


_BUILDERS = {
    "run.launched": _started,
    "model.registered": _registered,
    "experiment.failed": _failed,
    "evaluation.completed": _evaluated,
    "evaluation.failed": _not_evaluated,
}
