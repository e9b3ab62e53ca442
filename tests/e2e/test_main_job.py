"""The main job on the real stack: from a data file to an evaluated model, each step exactly once."""

import asyncio
import json
import math
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from slm_client import SlmClient
from slm_client.cli.demo_data import SAMPLES
from slm_testing.waiting import eventually
from tests.support.otlp import Collector

ROWS = 80
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short file of the sample data."""
    lines = (SAMPLES / "commands_train.jsonl").read_text().splitlines()[:ROWS]
    path = tmp_path_factory.mktemp("data") / "tiny.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def outcome(stack: str, data: Path) -> dict[str, Any]:
    """What `slm demo --json` says about the job."""
    options = ["--data", str(data), "--epochs", "1", "--batch-size", "8", "--gateway", stack, "--json"]
    command = [sys.executable, "-c", "from slm_client.cli import main; main()", "demo", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_datasets_are_processed_with_every_row(outcome: dict[str, Any]) -> None:
    training, evaluation = outcome["training_dataset"], outcome["evaluation_dataset"]
    assert (training["name"], evaluation["name"]) == ("tiny-v1", "tiny-eval-v1")
    assert {training["status"], evaluation["status"]} == {"processed"}
    assert training["rows"] + evaluation["rows"] == ROWS
    assert training["row_format"] == "prompt/completion"


def test_training_really_happened(client: SlmClient, outcome: dict[str, Any]) -> None:
    experiment = outcome["experiment"]
    steps = math.ceil(outcome["training_dataset"]["rows"] / 8)
    assert (experiment["status"], experiment["attempt"], experiment["steps"]) == ("completed", 1, steps)
    losses = [point.value for point in client.experiments.metrics(experiment["id"], name="loss").series["loss"]]
    assert len(losses) >= 1
    assert losses[0] is not None
    assert experiment["train_loss"] < losses[0] * 1.5
    assert client.experiments.log(experiment["id"]).lines


async def test_one_model_is_registered_and_can_be_walked_back(client: SlmClient, outcome: dict[str, Any]) -> None:
    models = client.models.list(experiment_id=outcome["experiment"]["id"]).items
    assert [model.name for model in models] == ["tiny-v1"]
    model = client.models.get("tiny-v1")
    assert model.id == outcome["model"]["id"]
    assert model.base_model is not None
    assert model.base_model.name == "nano-v1"
    chain = {outcome[name]["id"] for name in ("training_dataset", "experiment", "model", "evaluation")}

    async def is_whole() -> bool:
        lineage = await asyncio.to_thread(client.models.lineage, model.name)
        return chain <= {node.id for node in lineage.nodes}

    await eventually(is_whole)
    assert "tiny-v1" in client.models.card_markdown(model.name)


def test_both_models_are_evaluated_once(client: SlmClient, outcome: dict[str, Any]) -> None:
    evaluations = client.evaluations.list(dataset_id=outcome["evaluation_dataset"]["id"]).items
    assert sorted(each.model.name for each in evaluations) == ["nano-v1", "tiny-v1"]
    assert {each.status for each in evaluations} == {"completed"}
    tuned, base = outcome["evaluation"], outcome["base_evaluation"]
    assert tuned["rows"] == base["rows"] == outcome["evaluation_dataset"]["rows"]
    assert tuned["metrics"]["loss"] < base["metrics"]["loss"]
    assert {sample["prompt"] for sample in tuned["samples"]} == {sample["prompt"] for sample in base["samples"]}


def test_each_fact_was_told_once(client: SlmClient, outcome: dict[str, Any]) -> None:
    told = Counter(event.type for event in client.events(follow=False) if _is_about(event.data, outcome))
    assert told == {
        "dataset.uploaded": 2,
        "dataset.processed": 2,
        "run.launched": 1,
        "experiment.started": 1,
        "experiment.completed": 1,
        "model.registered": 1,
        "evaluation.completed": 2,
    }


def test_files_come_back_as_they_were(client: SlmClient, outcome: dict[str, Any], tmp_path: Path) -> None:
    client.datasets.download("tiny-v1", tmp_path / "raw.jsonl")
    assert len((tmp_path / "raw.jsonl").read_text().splitlines()) == outcome["training_dataset"]["rows"]
    assert len(client.datasets.preview("tiny-v1", limit=5).rows) == 5
    client.models.download("tiny-v1", tmp_path / "model.archive")
    names = _names_in(tmp_path / "model.archive")
    assert {"model.safetensors", "tokenizer.json", "config.json"} <= names


def test_overview_agrees(client: SlmClient, outcome: dict[str, Any]) -> None:
    overview = client.overview()
    assert list(overview.unavailable) == []
    assert outcome["experiment"]["id"] in {each.id for each in overview.recent_experiments}
    assert overview.models is not None
    assert overview.models.by_status["fine_tuned"] >= 1


def _is_about(data: dict[str, Any], outcome: dict[str, Any]) -> bool:
    mine = {outcome[name]["id"] for name in ("training_dataset", "evaluation_dataset", "experiment", "model")}
    # The base model's registration is not part of this job; its evaluation on our rows is.
    return not mine.isdisjoint(map(str, data.values()))


def _names_in(archive: Path) -> set[str]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            return {Path(name).name for name in opened.namelist()}
    with tarfile.open(archive) as tar:
        return {Path(name).name for name in tar.getnames()}


PROCESSES = ("gateway", "datasets", "training", "trainer", "registry", "evaluation", "evaluator")


async def test_one_trace_leads_through_every_process(outcome: dict[str, Any], collector: Collector) -> None:
    async def launched() -> bytes | None:
        return next((span.trace_id for span in collector.spans if span.name == "publish run.launched"), None)

    assert outcome["experiment"]["status"] == "completed"
    trace_id = await eventually(launched)

    async def everywhere() -> bool:
        sent = list(zip(collector.services, collector.spans, strict=False))
        names = {service for service, span in sent if span.trace_id == trace_id}
        return names == {f"slm-{name}" for name in PROCESSES} and bool(collector.metrics)

    await eventually(everywhere)
    assert "publish evaluation.completed" in {span.name for span in collector.spans if span.trace_id == trace_id}
    assert "http.server.request.duration" in collector.metrics
    assert trace_id in {record.trace_id for record in collector.logs}
