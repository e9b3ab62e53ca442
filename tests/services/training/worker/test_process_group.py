"""Several processes for one training, as the supervisor starts them."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from slm_training.worker.supervisor.process_group import start_group
from tests.support.training_jobs import NANO, make_job, train

ROWS = [{"prompt": f"turn on {n}", "completion": "yes " * (1 + n % 7)} for n in range(32)]


async def test_two_processes_take_the_same_way_as_one(tmp_path: Path) -> None:
    alone = train(tmp_path / "alone", ROWS)
    job = make_job(tmp_path / "together", ROWS, row_format="prompt/completion", num_processes=2)
    child = await start_group(job, tmp_path, log_path=tmp_path / "log")
    messages: list[dict[str, Any]] = [message async for message in child.messages()]
    assert await child.wait() == 0, child.log_tail()
    assert messages[-1]["kind"] == "result", messages[-1]
    losses = [each["values"]["loss"] for each in messages if each["kind"] == "metric" and "loss" in each["values"]]
    assert losses == pytest.approx(alone.values("loss"), rel=1e-3)
    assert alone.result is not None
    assert messages[-1]["result"]["trained_tokens"] == alone.result.trained_tokens
    assert messages[-1]["result"]["train_loss"] == pytest.approx(alone.result.train_loss, rel=1e-3)
    assert (job.output_folder / "model.safetensors").exists()


async def test_a_group_that_diverges_says_so_once(tmp_path: Path) -> None:
    base = shutil.copytree(NANO, tmp_path / "base")
    weights = load_file(NANO / "model.safetensors")
    weights["model.norm.weight"][:] = float("nan")
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    job = make_job(tmp_path / "job", ROWS, row_format="prompt/completion", num_processes=2, base=base)
    child = await start_group(job, tmp_path, log_path=tmp_path / "log")
    messages: list[dict[str, Any]] = [message async for message in child.messages()]
    await child.wait()
    (error,) = [each for each in messages if each["kind"] == "error"]
    assert (error["code"], error["blame"]) == ("diverged", "user")
