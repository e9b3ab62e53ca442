"""The child alone: a job in, a folder out."""

import json
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

import polars
import pytest
import torch
from safetensors.torch import load_file, save_file

from slm_ml.model import load_model, load_tokenizer
from slm_shared.jobs.child import RUN_MODULE, Child, clean_environment

NANO = Path(str(files("slm_ml"))) / "builtin" / "nano-v1"
SOMEBODY = str(UUID(int=1))
ROWS = [
    {"prompt": f"turn on the {device} in the {room}", "completion": json.dumps({"device": device, "room": room})}
    for device in ("light", "fan", "heater", "lamp")
    for room in ("kitchen", "hall", "office", "bath", "cellar")
]
CONFIG: dict[str, Any] = {
    "method": "full",
    "epochs": 2,
    "learning_rate": 2e-3,
    "batch_size": 4,
    "max_length": 128,
    "seed": 42,
    "warmup_ratio": 0.05,
    "weight_decay": 0.0,
    "lora_rank": 4,
    "lora_alpha": 8,
}


@dataclass
class Outcome:
    """What a child said and left."""

    messages: list[dict[str, Any]]
    exit_code: int
    folder: Path

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The messages of one kind."""
        return [message for message in self.messages if message["kind"] == kind]

    @property
    def last(self) -> dict[str, Any]:
        """Its last message."""
        return self.messages[-1]

    def values(self, name: str) -> list[float]:
        """One metric series."""
        return [
            message["values"][name]
            for message in self.messages
            if message["kind"] == "metric" and name in message["values"]
        ]


Train = Callable[..., Awaitable[Outcome]]
Know = Callable[[str, bool], Awaitable[Outcome]]


async def run_child(
    folder: Path,
    *,
    base: Path = NANO,
    checkpoint_s: float = 300.0,
    resume: dict[str, Any] | None = None,
    kill_at: int | None = None,
    drain: bool = False,
    fp32: bool = False,
    **config: Any,
) -> Outcome:
    """Run one child to its end, in a new folder."""
    rows = _stored_rows(folder)
    child = await Child.start(
        [*RUN_MODULE, "slm_training.worker.child.main"],
        env=clean_environment(HF_HUB_OFFLINE="1", **({"SLM_TRAINER_PRECISION": "fp32"} if fp32 else {})),
        log_path=folder / "log",
    )
    job = _job(base, rows, folder / "result", {**CONFIG, **config})
    await child.send({"job": job | {"checkpoint_s": checkpoint_s} | (resume or {})})
    if drain:
        await child.send({"drain": True})
    messages = []
    async for message in child.messages():
        messages.append(message)
        if message["kind"] == "checkpoint" and message["step"] == kill_at:
            os.killpg(child.pid, signal.SIGKILL)
    return Outcome(messages, await child.wait(), folder / "result")


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """`await train("a", learning_rate=1e-3)`: run one child to its end, in the folder `a`."""

    async def run(name: str, **settings: Any) -> Outcome:
        return await run_child(tmp_path / name, **settings)

    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Know:
    """`await whole("lora", False)`: a training from beginning to end, by method and whether in fp32; each once."""
    known: dict[tuple[str, bool], Outcome] = {}

    async def run(method: str, fp32: bool) -> Outcome:
        if (method, fp32) not in known:
            folder = tmp_path_factory.mktemp("whole") / "training"
            known[method, fp32] = await run_child(folder, method=method, fp32=fp32)
        return known[method, fp32]

    return run


@pytest.fixture(scope="module")
async def killed(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A training that was killed at its second step."""
    return await run_child(tmp_path_factory.mktemp("killed") / "training", checkpoint_s=0, kill_at=2)


def _stored_rows(folder: Path) -> Path:
    folder.mkdir()
    rows = folder / "rows.parquet"
    polars.DataFrame(ROWS).write_parquet(rows)
    return rows


def _job(base: Path, rows: Path, result: Path, config: dict[str, Any]) -> dict[str, Any]:
    source = {"id": SOMEBODY, "name": "commands-v1", "object_key": "", "sha256": "0", "rows": len(ROWS)}
    source |= {"row_format": "prompt/completion", "mapping": {}}
    model = {"id": SOMEBODY, "name": "nano-v1", "artifact_prefix": "", "manifest_key": "", "manifest_sha256": "1"}
    run = {"run_id": SOMEBODY, "experiment_id": SOMEBODY, "epoch": 1, "attempt": 1, "name": "commands"}
    run |= {"config": config, "base_model": model, "training_dataset": source, "artifact_prefix": "runs/x/e1"}
    return {
        "run": run,
        "base_folder": str(base),
        "training": {"source": source, "path": str(rows)},
        "evaluation": {"source": source, "path": str(rows)},
        "output_folder": str(result),
        "scratch_folder": str(result.with_name("scratch")),
        "threads": None,
        "checkpoint_s": 300.0,
    }


async def test_the_same_seed_gives_the_same_model_to_the_last_bit(train: Train, whole: Know) -> None:
    first, again = await whole("full", False), await train("again")
    assert first.last["kind"] == "result"
    assert first.exit_code == 0
    losses = first.values("loss")
    assert len(losses) == 10
    assert losses[-1] < 0.75 * losses[0]
    assert first.values("eval_loss")[-1] < first.values("eval_loss")[0]
    assert again.values("loss") == losses
    assert again.last["result"] == first.last["result"]
    for name in ("model.safetensors", "training.json"):
        assert (first.folder / name).read_bytes() == (again.folder / name).read_bytes()


@pytest.mark.parametrize(
    ("method", "fp32", "killed_at"), [("full", True, 3), ("full", False, 6), ("lora", True, 8), ("lora", False, 1)]
)
async def test_a_killed_and_resumed_training_equals_the_uninterrupted_one(
    train: Train, whole: Know, method: str, fp32: bool, killed_at: int
) -> None:
    uninterrupted = await whole(method, fp32)
    killed = await train("killed", method=method, fp32=fp32, checkpoint_s=0, kill_at=killed_at)
    assert killed.exit_code == -signal.SIGKILL
    stored = killed.told("checkpoint")[-1]
    resume = {"resume_folder": stored["folder"], "resume_step": stored["step"]}
    resumed = await train("resumed", method=method, fp32=fp32, resume=resume)
    assert resumed.last["kind"] == "result", resumed.last
    assert uninterrupted.last["result"] == resumed.last["result"]
    for name in ("model.safetensors", "training.json"):
        assert (uninterrupted.folder / name).read_bytes() == (resumed.folder / name).read_bytes()
    assert resumed.values("loss") == uninterrupted.values("loss")[stored["step"] :]


async def test_a_drained_training_stops_at_a_checkpoint_and_goes_on_from_there(train: Train, whole: Know) -> None:
    drained = await train("drained", drain=True)
    assert (drained.last["kind"], drained.exit_code) == ("drained", 75)
    (stored,) = drained.told("checkpoint")
    assert not drained.folder.exists()
    resumed = await train("resumed", resume={"resume_folder": stored["folder"], "resume_step": stored["step"]})
    assert resumed.last["result"] == (await whole("full", False)).last["result"]


async def test_nothing_in_a_checkpoint_is_pickled(killed: Outcome) -> None:
    assert suffixes_in(killed.told("checkpoint")[-1]["folder"]) == {".safetensors", ".json"}


def suffixes_in(folder: str) -> set[str]:
    return {path.suffix for path in Path(folder).iterdir()}


async def test_a_checkpoint_of_another_step_is_refused(train: Train, killed: Outcome) -> None:
    folder = killed.told("checkpoint")[-1]["folder"]
    refused = await train("refused", resume={"resume_folder": folder, "resume_step": 7})
    assert (refused.last["code"], refused.last["blame"]) == ("checkpoint_damaged", "system")


async def test_a_merged_lora_model_loads_and_its_adapter_is_kept(whole: Know) -> None:
    outcome = await whole("lora", False)
    assert outcome.last["kind"] == "result"
    weights, base = load_file(outcome.folder / "model.safetensors"), load_file(NANO / "model.safetensors")
    assert set(weights) == set(base)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    assert any(not torch.equal(weights[name], base[name]) for name in base)
    adapter = json.loads((outcome.folder / "adapter" / "adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == "nano-v1"
    model, tokenizer = load_model(outcome.folder), load_tokenizer(outcome.folder)
    ids = torch.tensor([tokenizer("turn on the light")["input_ids"]])
    assert torch.isfinite(model(input_ids=ids).logits).all()
    assert model.config.use_cache


async def test_a_loss_that_is_not_finite_names_the_step(train: Train, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in NANO.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    weights = load_file(NANO / "model.safetensors")
    weights["model.norm.weight"][:] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    outcome = await train("diverged", base=broken)
    assert (outcome.last["code"], outcome.last["blame"]) == ("diverged", "user")
    assert "step 1" in outcome.last["message"]
    assert not outcome.folder.exists()


async def test_rows_that_leave_nothing_to_learn_are_the_users_to_mend(train: Train) -> None:
    outcome = await train("short", max_length=8)
    assert (outcome.last["code"], outcome.last["blame"]) == ("no_trainable_tokens", "user")
    assert outcome.exit_code == 64
