"""What a training would take, before it is launched: its tokens, its memory, its time, and what would go wrong.

Nothing is guessed that can be measured: a few real steps are made on the real rows and thrown away.
"""

import statistics
import time
from dataclasses import asdict
from typing import Any

import psutil
from transformers import TrainerCallback, set_seed
from transformers.utils.logging import disable_progress_bar

from slm_ml.data import read_rows
from slm_ml.model import parameter_count
from slm_ml.token_report import TokenReport, make_token_report
from slm_training.worker.child.building import make_trainer, read_material, steps_of
from slm_training.worker.child.choices import estimated_gb
from slm_training.worker.child.device import GIGABYTE, available_gb, make_deterministic, total_gb
from slm_training.worker.child.loading import Base, load_base
from slm_training.worker.child.reporting import NoChannel, Reporter
from slm_training.worker.child.rows import EncodedRows
from slm_training.worker.child.trainer import CompletionTrainer
from slm_training.worker.errors import NoTrainableTokensError, TrainingError
from slm_training.worker.job import TrainingConfig, TrainingJob

MEASURED_STEPS = 6
# The first ones allocate memory and choose kernels.
UNMEASURED_STEPS = 2
# How far the times of later steps, and the memory, may lie from what a few steps show.
SPREAD = 1.15
MEMORY_SPREAD = 1.3
# The share of cut rows from which a plan warns.
WORTH_WARNING = 0.05
Report = dict[str, Any]


class _Clock(TrainerCallback):
    """Notes when each step ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """The first step begins."""
        self.ends.append(time.monotonic())

    on_step_end = on_train_begin

    def step_times(self) -> list[float]:
        """Seconds of each step but the first ones, which warm up."""
        times = [end - start for start, end in zip(self.ends, self.ends[1:], strict=False)]
        return times[UNMEASURED_STEPS:] or times


def plan_training(job: TrainingJob) -> Report:
    """The report of a preflight. Raises TrainingError and RowFormatError for a training that could not work."""
    config = job.run.config
    make_deterministic(threads=job.threads)
    disable_progress_bar()  # type: ignore[no-untyped-call]
    set_seed(config.seed)
    base = load_base(job.base_folder, max_length=config.max_length)
    tokens = make_token_report(
        read_rows(job.training.path),
        row_format=job.training.source.row_format,
        mapping=job.training.source.mapping,
        tokenizer=base.tokenizer,
        max_length=base.max_length,
    )
    _refuse(tokens, config)
    reporter = Reporter(NoChannel())
    rows = read_material(job, base, reporter).rows
    parameters = parameter_count(base.model)
    total = steps_of(config, len(rows.examples))
    short = job.model_copy(update={"run": job.run.model_copy(update={"config": _short(config, total)})})
    trainer, choices = make_trainer(short, base, rows, reporter)
    memory = _memory_expected(config, base, rows, parameters, device=choices.device)
    clock = _Clock()
    trainer.add_callback(clock)
    trainer.train()
    return {
        "tokens": asdict(tokens),
        "total_steps": total,
        "parameters": parameters,
        "memory_gb": _with_measured(memory, device=choices.device),
        **_times(clock, trainer, total),
        "chosen": choices.reasons,
        "warnings": _warnings(tokens, config, base, total),
    }


def _refuse(tokens: TokenReport, config: TrainingConfig) -> None:
    if tokens.trained_tokens == 0:
        raise NoTrainableTokensError
    if config.objective != "pretrain" and tokens.rows_with_stop_token == 0:
        what = (
            f"No row keeps its stop token within max_length {tokens.max_length}: the model would never learn to end an "
            f"answer. Raise max_length; the longest row has {tokens.max_row_length} tokens."
        )
        raise TrainingError("stop_token_not_trained", what)


def _short(config: TrainingConfig, total: int) -> TrainingConfig:
    return config.model_copy(update={"max_steps": min(total, MEASURED_STEPS + UNMEASURED_STEPS), "eval_steps": None})


def _memory_expected(
    config: TrainingConfig, base: Base, rows: EncodedRows, parameters: int, *, device: str
) -> dict[str, float]:
    """Low, expected and high memory in GB. Raises TrainingError when even the low estimate does not fit."""
    estimate = estimated_gb(config, base.model.config, parameters=parameters, longest=rows.longest)
    there, total = available_gb(device), total_gb(device)
    if estimate / MEMORY_SPREAD > total:
        half = max(1, config.batch_size // 2)
        twice = 2 * config.gradient_accumulation_steps
        what = (
            f"The training needs about {estimate:.1f} GB and the device has {total:.1f} GB. Try batch_size {half} with "
            f"gradient_accumulation_steps {twice}, a shorter max_length, or method lora."
        )
        raise TrainingError("will_not_fit", what)
    return {"low": estimate / MEMORY_SPREAD, "expected": estimate, "available": there, "total": total}


def _with_measured(memory: dict[str, float], *, device: str) -> dict[str, float]:
    held = psutil.Process().memory_info().rss / GIGABYTE if device == "cpu" else total_gb(device) - available_gb(device)
    expected = max(memory["expected"], held)
    found = {**memory, "measured": held, "expected": expected, "high": expected * MEMORY_SPREAD}
    return {name: round(value, 3) for name, value in found.items()}


def _times(clock: _Clock, trainer: CompletionTrainer, total: int) -> Report:
    times = sorted(clock.step_times())
    middle = statistics.median(times)
    spent = clock.ends[-1] - clock.ends[0]
    return {
        "seconds_per_step": round(middle, 4),
        "tokens_per_s": round(trainer.seen_tokens / spent, 1) if spent > 0 else None,
        "measured_steps": len(times),
        "duration_s": {
            "low": round(total * times[0] / SPREAD, 1),
            "expected": round(total * middle, 1),
            "high": round(total * times[-1] * SPREAD, 1),
        },
    }


def _warnings(tokens: TokenReport, config: TrainingConfig, base: Base, total: int) -> list[str]:
    found = []
    if config.max_length > base.max_length:
        found.append(f"The base model reads {base.max_length} tokens at most; longer rows are cut there.")
    if config.objective != "pretrain" and tokens.truncated_rows > WORTH_WARNING * tokens.rows:
        found.append(
            f"{tokens.truncated_rows} of {tokens.rows} rows are cut at {tokens.max_length} tokens and do not learn to "
            f"stop; the longest has {tokens.max_row_length}."
        )
    if tokens.dropped_rows:
        found.append(f"{tokens.dropped_rows} of {tokens.rows} rows leave nothing to learn and are left out.")
    if not tokens.has_chat_template:
        found.append("The tokenizer has no chat template; prompts and answers are joined as plain text.")
    if total < MEASURED_STEPS:
        found.append(f"The training is only {total} steps long.")
    return found
