"""`kill -9` of any one process in the middle of the main job; the next start of the stack ends it, each step once."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from slm_client import SlmClient
from slm_client.cli.demo_data import SAMPLES
from slm_client.models import Experiment
from tests.support.launched import LaunchedStack
from tests.support.waiting import let_pass, wait_until

ROWS = 160
PARTS = (
    "nats", "postgres", "s3", "datasets", "training", "registry", "evaluation", "gateway", "trainer", "evaluator",
    "launcher",
)  # fmt: skip
MOMENTS = ("uploaded", "launched", "training", "trained", "registered")
JOB_TIMEOUT_S = 180.0
pytestmark = [pytest.mark.timeout(400), pytest.mark.fault]


class Job:
    """The main job step by step; a part dies after one of the steps."""

    def __init__(self, stack: LaunchedStack, *, part: str, moment: str, chance: random.Random) -> None:
        self._stack = stack
        self._part = part
        self._moment = moment
        self._pause_s = chance.uniform(0, 0.5)
        self._steps = chance.randint(1, 12)
        self.experiment_id = ""
        self.dataset_id = ""

    def client(self) -> SlmClient:
        """A client of the stack as it runs now."""
        return SlmClient(self._stack.record.gateway_url)

    def reached(self, moment: str) -> None:
        """Die and come back if this is the moment."""
        if moment != self._moment:
            return
        let_pass(self._pause_s)
        if self._part == "launcher":
            self._stack.kill_everything()
        else:
            assert self._stack.kill_part(self._part) == 1
            assert f"slm_local: {self._part} was ended by SIGKILL" in self._stack.words()
        self._stack.start()

    def run(self, folder: Path) -> None:
        """The whole job."""
        lines = (SAMPLES / "commands_train.jsonl").read_text().splitlines(keepends=True)
        (folder / "train.jsonl").write_text("".join(lines[:ROWS]))
        (folder / "eval.jsonl").write_text("".join(lines[ROWS : ROWS + 20]))
        with self.client() as client:
            uploaded = [client.datasets.upload(folder / name).id for name in ("train.jsonl", "eval.jsonl")]
        self.reached("uploaded")
        with self.client() as client:
            names = [client.datasets.wait(each, timeout_s=60).name for each in uploaded]
            self.dataset_id = uploaded[1]
            request = {"name": "job", "training_dataset": names[0], "evaluation_dataset": names[1]}
            self.experiment_id = client.runs.launch({**request, "epochs": 1, "batch_size": 4}).experiment_id
        self.reached("launched")
        self._until(lambda experiment: step_of(experiment) >= self._steps or is_over(experiment))
        self.reached("training")
        self._until(is_over)
        self.reached("trained")
        with self.client() as client:
            client.models.wait_for_experiment(self.experiment_id, timeout_s=JOB_TIMEOUT_S)
        self.reached("registered")

    def _until(self, done: Callable[[Experiment], bool]) -> None:
        with self.client() as client:
            wait_until(lambda: done(client.experiments.get(self.experiment_id)), timeout_s=JOB_TIMEOUT_S)


def step_of(experiment: Experiment) -> float:
    """How far the training is, in optimiser steps."""
    return (experiment.progress.step if experiment.progress else None) or 0


def is_over(experiment: Experiment) -> bool:
    """Whether nothing more happens to it."""
    return experiment.status in {"completed", "failed", "cancelled"}


@pytest.mark.parametrize("part", PARTS)
def test_the_job_ends_once_although_a_part_died(part: str, tmp_path: Path, seed: int) -> None:
    chance = random.Random(f"{seed}-{part}")
    moment = chance.choice(MOMENTS)
    print(f"{part} dies once the job is {moment} (seed {seed})")  # noqa: T201  shown when the test fails
    stack = LaunchedStack(tmp_path / "stack")
    stack.start()
    try:
        job = Job(stack, part=part, moment=moment, chance=chance)
        job.run(tmp_path)
        with job.client() as client:
            assert client.experiments.get(job.experiment_id).status == "completed"
            (model,) = client.models.list(experiment_id=job.experiment_id).items
            tuned = client.evaluations.wait_for(model_id=model.id, dataset_id=job.dataset_id, timeout_s=JOB_TIMEOUT_S)
            assert client.evaluations.wait(tuned.id, timeout_s=JOB_TIMEOUT_S).status == "completed"
            evaluations = client.evaluations.list(dataset_id=job.dataset_id).items
            assert sorted(each.model.name for each in evaluations) == ["job-v1", "nano-v1"]
            base = next(each for each in evaluations if each.model.name == "nano-v1")
            assert client.evaluations.wait(base.id, timeout_s=JOB_TIMEOUT_S).status == "completed"
            told = Counter(event.type for event in client.events(follow=False))
        once = ("run.launched", "experiment.completed")
        assert {name: told[name] for name in once} == dict.fromkeys(once, 1)
        assert (told["dataset.processed"], told["evaluation.completed"]) == (2, 2)
        # The base model's own registration is the other one.
        assert told["model.registered"] == 2
    finally:
        stack.stop()
