"""How fast does the platform train with its own defaults, beside TRL with its defaults?

The same base model, rows, rows per optimiser step, learning rate, seed and number of steps; each contender in a process
of its own, one after the other, and all of them again for each round. Tokens are those of the rows, padding not
counted; the evaluation loss is measured on held-out rows by one and the same code.

    python benchmarks/training.py [--data rows.jsonl] [--rounds 2] [--rows 800]

Without --data it trains on the sample task of `slm demo`; a file holds `prompt` and `completion`, or `question` and
`answer`. Held: ours >= 3 times the tokens/s of TRL's defaults, at an evaluation loss that is no worse; with the same
settings by hand >= 0.98 times TRL's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

import polars
from rich.console import Console
from rich.table import Table

NANO = Path(str(files("slm_ml"))) / "builtin" / "nano-v1"
BATCH, LEARNING_RATE, SEED, HELD_OUT, MAX_LENGTH = 16, 2e-3, 42, 100, 512
NOBODY = UUID(int=0)
COLUMNS = {"question": "prompt", "answer": "completion"}
Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Measurement:
    """What one contender did in one round."""

    contender: str
    tokens_per_s: float
    tokens_per_cpu_s: float
    eval_loss: float


@dataclass(frozen=True)
class Taken:
    """Time on the wall, and of all processor cores together: what other work on the machine does not change."""

    wall_s: float
    cpu_s: float

    @classmethod
    def now(cls) -> "Taken":
        """Both clocks."""
        return cls(time.monotonic(), time.process_time())

    def until(self, end: "Taken") -> "Taken":
        """What went by between two looks at the clocks."""
        return Taken(end.wall_s - self.wall_s, end.cpu_s - self.cpu_s)


def main() -> None:
    """Measure every contender and print the table; or, given a contender's name, be that contender."""
    arguments = _arguments()
    if arguments.be:
        told = asdict(_be(arguments.be, Path(arguments.data), held_out=0 if arguments.no_evaluation else HELD_OUT))
        sys.stdout.write(json.dumps(told) + "\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        data = _prepare(arguments, Path(folder))
        found = [_measured(name, data) for _ in range(arguments.rounds) for name in CONTENDERS]
    _print_table(found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a JSONL file of rows")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rows", type=int, default=800)
    parser.add_argument("--be", choices=sorted(CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--no-evaluation", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _prepare(arguments: argparse.Namespace, folder: Path) -> Path:
    """One file with the rows to train on and those held out, the last ones."""
    rows: Rows = polars.read_ndjson(arguments.data or _sample()).to_dicts()
    rows = [{COLUMNS.get(name, name): value for name, value in row.items()} for row in rows]
    kept = [{name: row[name] for name in ("prompt", "completion")} for row in rows[: arguments.rows + HELD_OUT]]
    path = folder / "rows.json"
    path.write_text(json.dumps(kept))
    return path


def _sample() -> Path:
    from slm_client.cli.demo_data import sample_data  # noqa: PLC0415  contenders need not load it

    return sample_data().training


def sample_rows() -> Rows:
    """The prompts and completions of the sample task."""
    return polars.read_ndjson(_sample()).select("prompt", "completion").to_dicts()


def _measured(name: str, data: Path) -> Measurement:
    """A contender in a process of its own, as the platform starts its trainers: idle threads sleep."""
    command = [sys.executable, "-W", "ignore", __file__, "--be", name, "--data", str(data)]
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive", "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    begun = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    found = Measurement(**json.loads(done.stdout.splitlines()[-1]))
    sys.stderr.write(f"{name}: {found.tokens_per_s:,.0f} tokens/s, {time.monotonic() - begun:.0f} s in all\n")
    return found


def _be(name: str, data: Path, *, held_out: int) -> Measurement:
    rows: Rows = json.loads(data.read_text())
    train, rest = rows[: len(rows) - held_out], rows[len(rows) - held_out :]
    with tempfile.TemporaryDirectory() as folder:
        tokens, taken, model = CONTENDERS[name](train, Path(folder))
        if not rest:
            model.save_pretrained(folder)
        loss = _eval_loss(model, rest) if rest else 0.0
        return Measurement(name, tokens / taken.wall_s, tokens / taken.cpu_s, loss)


def _examples(rows: Rows) -> list[Any]:
    from slm_ml.encoding import encode_rows  # noqa: PLC0415
    from slm_ml.tokenizer import load_tokenizer  # noqa: PLC0415

    tokenizer = load_tokenizer(NANO)
    return encode_rows(rows, row_format="prompt/completion", mapping={}, tokenizer=tokenizer, max_length=MAX_LENGTH)


def _eval_loss(model: Any, held_out: Rows) -> float:
    from slm_ml.evaluation import mean_loss  # noqa: PLC0415

    model.to("cpu").float()
    model.set_attn_implementation("sdpa")
    return mean_loss(model, _examples(held_out))


def _trl(**options: Any) -> Callable[[Rows, Path], tuple[int, Taken, Any]]:
    """TRL as its documentation shows it: only what has to be equal is set."""

    def train(rows: Rows, folder: Path) -> tuple[int, Taken, Any]:
        from datasets import Dataset  # noqa: PLC0415
        from trl import SFTConfig, SFTTrainer  # type: ignore[attr-defined]  # noqa: PLC0415

        from slm_ml.model import load_model  # noqa: PLC0415
        from slm_ml.tokenizer import load_tokenizer  # noqa: PLC0415

        conversations = [
            {
                "prompt": [{"role": "user", "content": row["prompt"]}],
                "completion": [{"role": "assistant", "content": row["completion"]}],
            }
            for row in rows
        ]
        settings = SFTConfig(
            output_dir=str(folder),
            per_device_train_batch_size=BATCH,
            learning_rate=LEARNING_RATE,
            num_train_epochs=1,
            max_length=MAX_LENGTH,
            seed=SEED,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **options,
        )
        trainer = SFTTrainer(
            model=load_model(NANO),
            args=settings,
            train_dataset=Dataset.from_list(conversations),
            processing_class=load_tokenizer(NANO),
        )
        tokens = sum(len(example.input_ids) for example in _examples(rows))
        begun = Taken.now()
        trainer.train()
        return tokens, begun.until(Taken.now()), trainer.model

    return train


def _platform(**config: Any) -> Callable[[Rows, Path], tuple[int, Taken, Any]]:
    """The platform's own child code on a job, without the services around it."""

    def train(rows: Rows, folder: Path) -> tuple[int, Taken, Any]:
        from slm_ml.model import load_model  # noqa: PLC0415
        from slm_training.worker.child.training import run_training  # noqa: PLC0415

        clock = _Clock()
        job = _job(rows, folder, config)
        result = run_training(job, clock)
        assert result is not None
        return result.trained_tokens or 0, clock.taken, load_model(job.output_folder)

    return train


class _Clock:
    """Hears when the first step begins and when the last one has ended."""

    def __init__(self) -> None:
        self._looks: list[Taken] = []

    def send(self, kind: str, **fields: Any) -> None:
        """Takes the time of each word about a step."""
        if kind == "progress" or (kind == "metric" and "loss" in fields["values"]):
            self._looks.append(Taken.now())

    def has_message(self) -> bool:
        """Never."""
        return False

    @property
    def taken(self) -> Taken:
        """From the start of the training to its last step."""
        return self._looks[0].until(self._looks[-1])


def _job(rows: Rows, folder: Path, config: dict[str, Any]) -> Any:
    from slm_training.worker.job import TrainingJob  # noqa: PLC0415

    path = folder / "rows.parquet"
    polars.DataFrame(rows).write_parquet(path)
    source = {"id": NOBODY, "name": "rows", "object_key": "", "sha256": "", "mapping": {}, "rows": len(rows)}
    source["row_format"] = "prompt/completion"
    base = {"id": NOBODY, "name": "nano-v1", "artifact_prefix": "", "manifest_key": "", "manifest_sha256": ""}
    options = {
        "method": "full", "epochs": 1, "learning_rate": LEARNING_RATE, "batch_size": BATCH, "max_length": MAX_LENGTH,
        "seed": SEED, "warmup_ratio": 0.0, "weight_decay": 0.0, "lora_rank": 16, "lora_alpha": 32, **config,
    }  # fmt: skip
    run = {"run_id": NOBODY, "experiment_id": NOBODY, "epoch": 1, "attempt": 1, "name": "b", "artifact_prefix": ""}
    return TrainingJob.model_validate(
        {
            "run": {**run, "config": options, "base_model": base, "training_dataset": source},
            "base_folder": NANO,
            "training": {"source": source, "path": path},
            "evaluation": None,
            "output_folder": folder / "result",
            "scratch_folder": folder / "scratch",
            "threads": None,
            "checkpoint_s": 1e9,
        }
    )


BY_HAND = "TRL, by hand: fp32, grouped, nothing computed twice"
CONTENDERS: dict[str, Callable[[Rows, Path], tuple[int, Taken, Any]]] = {
    "TRL, its defaults": _trl(),
    "TRL, fp32": _trl(bf16=False),
    "TRL, packed": _trl(packing=True),
    "platform, its defaults": _platform(),
    "platform, packed": _platform(packing=True),
    "platform, grouped by length": _platform(packing=False),
    "platform, fp32": _platform(precision="fp32"),
    BY_HAND: _trl(bf16=False, gradient_checkpointing=False, train_sampling_strategy="group_by_length"),
    "platform, the same by hand": _platform(packing=False, precision="fp32", gradient_checkpointing=False),
}


def _print_table(found: list[Measurement]) -> None:
    """The best round of each contender, for what disturbs a measurement only makes it slower."""
    best = {name: max((each for each in found if each.contender == name), key=_rate) for name in CONTENDERS}
    yardstick = best["TRL, its defaults"]
    heads = ("contender", "tokens/s", "ratio", "tokens per processor second", "ratio", "evaluation loss")
    table = Table(*heads, title="Training, best of the rounds")
    for name, each in best.items():
        table.add_row(
            name,
            f"{each.tokens_per_s:,.0f}",
            f"{each.tokens_per_s / yardstick.tokens_per_s:.2f}",
            f"{each.tokens_per_cpu_s:,.0f}",
            f"{each.tokens_per_cpu_s / yardstick.tokens_per_cpu_s:.2f}",
            f"{each.eval_loss:.4f}",
        )
    Console().print(table)


def _rate(measurement: Measurement) -> float:
    return measurement.tokens_per_s


if __name__ == "__main__":
    main()
