"""One training run, from a job to the folder that becomes the artifact.

Speed, measured on 2 cores (AVX-512 with bf16), a 2.8 M parameter Llama, batches of 16 rows of about 66 tokens:
TRL's plain SFTTrainer in fp32 3,800 tokens/s; batches of similar length 4,700; output layer on labelled positions only
6,500; bf16 autocast 11,200; eager instead of fused attention, whose backward pass is slow in bf16 on a CPU, 18,700.

Deterministic: the same job on the same machine gives the same losses and weights to the last bit.
"""

import platform
from dataclasses import dataclass
from typing import Any

import torch
from transformers import TrainerState, set_seed
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils.logging import disable_progress_bar

from slm_ml.model import parameter_count
from slm_shared.observability.code_version import code_version
from slm_training.worker.child.artifact import save_model, write_record
from slm_training.worker.child.building import Material, make_trainer, read_material
from slm_training.worker.child.checkpoint_schedule import CheckpointSchedule
from slm_training.worker.child.choices import Choices
from slm_training.worker.child.device import library_versions, make_deterministic
from slm_training.worker.child.evaluating import Evaluating
from slm_training.worker.child.loading import load_base
from slm_training.worker.child.reporting import Channel, Reporter
from slm_training.worker.child.snapshot import CheckpointError
from slm_training.worker.child.trainer import CompletionTrainer
from slm_training.worker.errors import DivergedError, DrainedError
from slm_training.worker.job import TrainingJob, TrainingResult


def run_training(job: TrainingJob, channel: Channel) -> TrainingResult | None:
    """Train, write `job.output_folder`, and say how it went; None in all but the first of several processes.

    Raises TrainingError and RowFormatError, which are the user's to mend; DrainedError when asked to drain;
    CheckpointError when it cannot go on from the checkpoint it was given.
    """
    config = job.run.config
    make_deterministic(threads=job.threads, processes=config.num_processes)
    disable_progress_bar()  # type: ignore[no-untyped-call]
    set_seed(config.seed)
    reporter = Reporter(channel)
    base = load_base(job.base_folder, max_length=config.max_length)
    material = read_material(job, base, reporter)
    trainer, choices = make_trainer(job, base, material.rows, reporter)
    evaluating = None
    if material.evaluation is not None:
        evaluating = Evaluating(material.evaluation, reporter, config, folder=job.scratch_folder)
        trainer.add_callback(evaluating)
    schedule = CheckpointSchedule(channel, reporter, every_s=job.checkpoint_s)
    trainer.add_callback(schedule)
    channel.send("chosen", choices=choices.reasons)
    reporter.log(f"Training {job.run.base_model.name} ({config.objective}, {config.method}) on {choices.label}.")
    _train(trainer, job, reporter)
    if schedule.drained:
        raise DrainedError
    if not trainer.is_world_process_zero():
        return None
    return _finish(job, trainer, Outcome(material, evaluating, choices, reporter))


@dataclass(frozen=True)
class Outcome:
    """What is needed beside the trainer to finish."""

    material: Material
    evaluating: Evaluating | None
    choices: Choices
    reporter: Reporter


def _train(trainer: CompletionTrainer, job: TrainingJob, reporter: Reporter) -> None:
    """Train to the end, from a checkpoint if there is one; only its own step may be where it goes on."""
    if job.resume_folder is None:
        trainer.train()
        return
    stored = TrainerState.load_from_json(str(job.resume_folder / TRAINER_STATE_NAME)).global_step
    if stored != job.resume_step:
        raise CheckpointError(f"the checkpoint of step {job.resume_step} says that it is of step {stored}")
    reporter.log(f"Going on from the checkpoint of step {stored}.")
    trainer.train(resume_from_checkpoint=str(job.resume_folder))


def _finish(job: TrainingJob, trainer: CompletionTrainer, outcome: Outcome) -> TrainingResult:
    """Save, measure what was saved, and write the record."""
    trained: Any = trainer.model
    steps = trainer.state.global_step
    if not all(bool(torch.isfinite(weight).all()) for weight in trained.parameters()):
        raise DivergedError(steps)
    best = outcome.evaluating.keep_best(trained, steps) if outcome.evaluating else steps
    model = save_model(trained, job)
    eval_loss = outcome.material.evaluation.loss(model) if outcome.material.evaluation else None
    if eval_loss is not None:
        outcome.reporter.metrics(steps, {"eval_loss": eval_loss})
    per_epoch = max(1, round(steps / float(trainer.state.epoch or job.run.config.epochs)))
    last_epoch = trainer.step_losses[-per_epoch:]
    versions = {**library_versions(), "python": platform.python_version()}
    result = TrainingResult(
        steps=steps,
        train_loss=sum(last_epoch) / len(last_epoch),
        eval_loss=eval_loss,
        parameter_count=parameter_count(model),
        trained_tokens=trainer.seen_tokens,
        best_step=best if job.run.config.save_best_model else None,
        versions=versions | {"slm-platform": code_version()},
    )
    # The record is part of the artifact, whose hash must not differ between commits that train the same weights.
    facts = result.model_dump() | {
        "versions": versions,
        "precision": outcome.choices.label,
        "chosen": {name: each["value"] for name, each in outcome.choices.reasons.items()},
        "step_losses_last": trainer.step_losses[-1],
    }
    write_record(job, facts)
    return result
