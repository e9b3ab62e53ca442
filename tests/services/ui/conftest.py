"""A whole platform, and a console that runs inside of the test."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from slm_client import SlmClient
from slm_client.models import Dataset, Run
from tests.support.launched import LaunchedStack
from tests.support.seeding import Seeding

PAIRS = "".join(f'{{"prompt": "say {number}", "completion": "number {number}"}}\n' for number in range(60))
HOSTILE = "<script>alert(1)</script> **bold** [link](javascript:alert(1)) :red[x] $x$"


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LaunchedStack]:
    """A fresh stack."""
    launched = LaunchedStack(tmp_path_factory.mktemp("console"))
    launched.start()
    try:
        yield launched
    finally:
        launched.stop()


@pytest.fixture(scope="session")
def client(platform: LaunchedStack) -> Iterator[SlmClient]:
    """A client of it."""
    with SlmClient(platform.record.gateway_url) as connected:
        yield connected


@pytest.fixture(autouse=True)
def _console(platform: LaunchedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The console of this test talks to that platform."""
    monkeypatch.setenv("SLM_GATEWAY_URL", platform.record.gateway_url)


@dataclass(frozen=True)
class Things:
    """What the platform of these tests holds."""

    dataset: Dataset
    evaluation_dataset: Dataset
    broken: Dataset
    run: Run


@pytest.fixture(scope="session")
def seeding(platform: LaunchedStack) -> Seeding:
    """The databases of the platform."""
    return Seeding(platform.folder, platform.record)


@pytest.fixture(scope="session")
def things(client: SlmClient, tmp_path_factory: pytest.TempPathFactory) -> Things:
    """Two datasets, a broken one, and a finished training."""
    folder: Path = tmp_path_factory.mktemp("files")
    good, bad = folder / "pairs.jsonl", folder / "broken.jsonl"
    good.write_text(PAIRS)
    bad.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": \n')
    data = client.datasets.upload(good, name="numbers", description=HOSTILE)
    evaluation = client.datasets.upload(good, name="numbers-eval", usage="evaluation")
    broken = client.datasets.upload(bad, name="broken")
    for dataset in (data, evaluation, broken):
        client.datasets.wait(dataset.id)
    run = client.runs.launch(
        {
            "name": HOSTILE,
            "goal": HOSTILE,
            "training_dataset": data.id,
            "evaluation_dataset": evaluation.id,
            "epochs": 1,
            "max_length": 64,
        }
    )
    client.experiments.wait(run.experiment_id)
    model = client.models.wait_for_experiment(run.experiment_id)
    scored = client.evaluations.wait_for(model_id=model.id, dataset_id=evaluation.id)
    client.evaluations.wait(scored.id)
    return Things(client.datasets.get(data.id), client.datasets.get(evaluation.id), client.datasets.get(broken.id), run)
