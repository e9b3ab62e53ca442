"""One training run, from a job to the folder that becomes the artifact.

Speed, measured on 2 cores (AVX-512 with bf16), a 2.8 M parameter Llama, batches of 16 rows of about 66 tokens:
TRL's plain SFTTrainer in fp32 3,800 tokens/s; batches of similar length 4,700; output layer on labelled positions only
6,500; bf16 autocast 11,200; eager instead of fused attention, whose backward pass is slow in bf16 on a CPU, 18,700.

Deterministic: the same job on the same machine gives the same losses and weights to the last bit.
"""

import platform
from typing import Any

import torch
from peft import LoraConfig, TaskType
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils.logging import disable_progress_bar
from trl import SFTConfig  # type: ignore[attr-defined]  # exported lazily

from slm_ml.evaluation import mean_loss
from slm_ml.model import load_model, load_tokenizer, parameter_count
from slm_training.worker.artifact import library_versions, save_model, write_record
from slm_training.worker.checkpoint import CheckpointError
from slm_training.worker.checkpointing import Checkpointing, SuspendedError
from slm_training.worker.data import EncodedRows, encode_dataset, training_dataset
from slm_training.worker.job import LocalDataset, TrainingJob, TrainingResult
from slm_training.worker.precision import Precision, choose_precision, make_deterministic
from slm_training.worker.reporting import Listener, Reporter
from slm_training.worker.trainer import CompletionTrainer, DivergedError

MAX_POINTS = 1000
EAGER_ATTENTION_TOKENS = 512


class NoTrainableTokensError(Exception):
    """No row leaves a token to learn from under its format and `max_length`."""


class EpochEvaluation(TrainerCallback):
    """Measures the evaluation loss after each epoch but the last, whose model is measured as it was saved."""

    def __init__(self, evaluation: "Evaluation", reporter: Reporter) -> None:
        self._evaluation = evaluation
        self._reporter = reporter

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        """Evaluates and sends one point."""
        if state.global_step < state.max_steps and (loss := self._evaluation.loss(model)) is not None:
            self._reporter.metrics(state.global_step, {"eval_loss": loss})


class Evaluation:
    """The evaluation rows, encoded when they are first needed so that training starts without waiting for them."""

    def __init__(self, dataset: LocalDataset, *, tokenizer: Any, max_length: int) -> None:
        self._dataset = dataset
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._rows: EncodedRows | None = None

    def loss(self, model: Any) -> float | None:
        """Mean negative log-likelihood per completion token, by the code that the evaluator uses; None without any."""
        if self._rows is None:
            self._rows = encode_dataset(self._dataset, tokenizer=self._tokenizer, max_length=self._max_length)
        if not self._rows.examples:
            return None
        causal: PreTrainedModel = model.get_base_model() if hasattr(model, "get_base_model") else model
        chosen = causal.config._attn_implementation
        # As in the evaluator; evaluation rows may also be longer than what eager attention was chosen for.
        causal.set_attn_implementation("sdpa")
        loss = mean_loss(model, self._rows.examples)
        causal.set_attn_implementation(chosen)
        return loss


def run_training(job: TrainingJob, listener: Listener) -> TrainingResult:
    """Train, write `job.output_folder`, and say how it went.

    Raises NoTrainableTokensError, RowFormatError and DivergedError, which are the user's to mend; SuspendedError when
    asked to stop; CheckpointError when it cannot go on from the checkpoint it was given.
    """
    config = job.run.config
    precision = choose_precision()
    make_deterministic(threads=job.threads)
    disable_progress_bar()  # type: ignore[no-untyped-call]
    set_seed(config.seed)
    reporter = Reporter(listener)
    tokenizer = load_tokenizer(job.base_folder)
    model = load_model(job.base_folder, dtype=torch.float32)
    max_length = min(config.max_length, model.config.max_position_embeddings)
    rows = _encode_training_rows(job, tokenizer, max_length, reporter)
    evaluation = None
    if job.evaluation is not None:
        evaluation = Evaluation(job.evaluation, tokenizer=tokenizer, max_length=max_length)
    trainer = _make_trainer(job, model, tokenizer, rows, precision, reporter)
    if evaluation:
        trainer.add_callback(EpochEvaluation(evaluation, reporter))
    checkpointing = Checkpointing(listener, every_s=job.checkpoint_s)
    trainer.add_callback(checkpointing)
    reporter.log(f"Training {job.run.base_model.name} ({config.method}) on {precision.label}.")
    _train(trainer, job, reporter)
    if checkpointing.suspended:
        raise SuspendedError
    return _finish(job, trainer, evaluation, reporter, precision)


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


def _encode_training_rows(job: TrainingJob, tokenizer: Any, max_length: int, reporter: Reporter) -> EncodedRows:
    rows = encode_dataset(job.training, tokenizer=tokenizer, max_length=max_length)
    if not rows.examples:
        raise NoTrainableTokensError
    reporter.log(f"{len(rows.examples)} rows, {rows.tokens} tokens, longest row {rows.longest} tokens.")
    if rows.left_out:
        reporter.log(f"Left out {rows.left_out} rows with nothing to learn in {max_length} tokens.", level="warning")
    return rows


def _make_trainer(
    job: TrainingJob,
    model: PreTrainedModel,
    tokenizer: Any,
    rows: EncodedRows,
    precision: Precision,
    reporter: Reporter,
) -> CompletionTrainer:
    config = job.run.config
    if precision.device == "cpu" and rows.longest <= EAGER_ATTENTION_TOKENS:
        model.set_attn_implementation("eager")
    trainer = CompletionTrainer(
        model=model,
        args=_trainer_settings(job, rows, precision),
        train_dataset=training_dataset(rows),
        processing_class=tokenizer,
        callbacks=[reporter],
        peft_config=None if config.method == "full" else _lora(config.lora_rank, config.lora_alpha),
    )
    # Its lines would repeat every point in the child's log.
    trainer.remove_callback(PrinterCallback)
    reporter.trainer = trainer
    return trainer


def _trainer_settings(job: TrainingJob, rows: EncodedRows, precision: Precision) -> SFTConfig:
    config = job.run.config
    total_steps = config.epochs * -(-len(rows.examples) // config.batch_size)
    return SFTConfig(
        output_dir=str(job.scratch_folder),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        # A whole number would be read as that many steps.
        warmup_steps=min(config.warmup_ratio, 0.999999),
        seed=config.seed,
        bf16=precision.bf16,
        use_cpu=precision.device == "cpu",
        # Small models have the memory; recomputing activations would only cost time.
        gradient_checkpointing=False,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        dataloader_num_workers=0,
        dataloader_pin_memory=precision.device == "cuda",
        logging_steps=max(1, int(total_steps / MAX_POINTS)),
        logging_nan_inf_filter=False,
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def _lora(rank: int, alpha: int) -> LoraConfig:
    return LoraConfig(r=rank, lora_alpha=alpha, target_modules="all-linear", task_type=TaskType.CAUSAL_LM)


def _finish(
    job: TrainingJob,
    trainer: CompletionTrainer,
    evaluation: Evaluation | None,
    reporter: Reporter,
    precision: Precision,
) -> TrainingResult:
    """Save, measure what was saved, and write the record."""
    trained: Any = trainer.model
    steps = trainer.state.global_step
    if not all(bool(torch.isfinite(weight).all()) for weight in trained.parameters()):
        raise DivergedError(steps)
    model = save_model(trained, job)
    eval_loss = evaluation.loss(model) if evaluation else None
    if eval_loss is not None:
        reporter.metrics(steps, {"eval_loss": eval_loss})
    per_epoch = max(1, round(steps / job.run.config.epochs))
    last_epoch = trainer.step_losses[-per_epoch:]
    result = TrainingResult(
        steps=steps,
        train_loss=sum(last_epoch) / len(last_epoch),
        eval_loss=eval_loss,
        parameter_count=parameter_count(model),
        versions={**library_versions(), "python": platform.python_version()},
    )
    facts = result.model_dump() | {"precision": precision.label, "step_losses_last": trainer.step_losses[-1]}
    write_record(job, facts)
    return result
