"""From a job to a trainer that is ready to train."""

import math
from dataclasses import dataclass
from typing import Any

from peft import LoraConfig, TaskType
from transformers import PrinterCallback
from trl import SFTConfig  # type: ignore[attr-defined]  # exported lazily

from slm_ml.data import read_rows
from slm_ml.encoding import Row
from slm_training.worker.child.batches import PackingCollator, PaddingCollator, PreferenceCollator
from slm_training.worker.child.choices import Choices, choose
from slm_training.worker.child.encoding import encode, encode_to_measure
from slm_training.worker.child.evaluating import Evaluation
from slm_training.worker.child.loading import Base
from slm_training.worker.child.reporting import Reporter
from slm_training.worker.child.rows import EncodedRows, split_rows, training_dataset
from slm_training.worker.child.trainer import CompletionTrainer, PreferenceTrainer
from slm_training.worker.errors import NoTrainableTokensError, TrainingError
from slm_training.worker.job import TrainingConfig, TrainingJob

# Of each series: a longer training reports every second step, every third, and so on.
MAX_POINTS = 100_000
OPTIMIZERS = {"adamw": "adamw_torch", "adafactor": "adafactor", "sgd": "sgd"}


@dataclass(frozen=True)
class Material:
    """The rows of a job: encoded ones to train on, and what to measure on."""

    rows: EncodedRows
    evaluation: Evaluation | None


def read_material(job: TrainingJob, base: Base, reporter: Reporter) -> Material:
    """Read, split and encode. Raises NoTrainableTokensError and RowFormatError."""
    config = job.run.config
    rows = read_rows(job.training.path)
    held_out: list[Row] = []
    if config.validation_split and job.evaluation is None:
        rows, held_out = split_rows(rows, config.validation_split, seed=config.seed)
        reporter.log(f"Held out {len(held_out)} of {len(rows) + len(held_out)} rows to evaluate on.")
    encoded = encode(rows, job.training, tokenizer=base.tokenizer, max_length=base.max_length, config=config)
    if not encoded.examples:
        raise NoTrainableTokensError
    reporter.log(f"{len(encoded.examples)} rows, {encoded.tokens} tokens, longest row {encoded.longest} tokens.")
    if encoded.left_out:
        reporter.log(
            f"Left out {encoded.left_out} rows with nothing to learn in {base.max_length} tokens.", level="warning"
        )
    return Material(encoded, _evaluation(job, base, held_out))


def _evaluation(job: TrainingJob, base: Base, held_out: list[Row]) -> Evaluation | None:
    measured = job.evaluation or (job.training if held_out else None)
    if measured is None:
        return None

    def examples() -> Any:
        rows = held_out or read_rows(measured.path)
        return encode_to_measure(rows, measured, tokenizer=base.tokenizer, max_length=base.max_length)

    return Evaluation(examples)


def make_trainer(
    job: TrainingJob, base: Base, rows: EncodedRows, reporter: Reporter
) -> tuple[CompletionTrainer, Choices]:
    """The trainer of a job, with what it settled by itself. Raises TrainingError for what cannot work."""
    config = job.run.config
    choices = choose(config, base.model, rows)
    if choices.eager_attention:
        base.model.set_attn_implementation("eager")
    kind = PreferenceTrainer if config.objective == "dpo" else CompletionTrainer
    try:
        trainer = kind(
            model=base.model,
            args=_settings(job, rows, choices),
            train_dataset=training_dataset(rows),
            data_collator=_collator(config, choices),
            processing_class=base.tokenizer,
            callbacks=[reporter],
            peft_config=None if config.method == "full" else _lora(config),
            lengths=rows.lengths,
            grouped=not choices.packing and config.objective != "pretrain",
        )
    except ValueError as error:
        if config.method == "lora" and "target modules" in str(error).lower():
            what = f"The base model has no modules called {config.lora_target_modules}. Use all-linear."
            raise TrainingError("lora_target_not_found", what) from error
        raise
    # Its lines would repeat every point in the child's log.
    trainer.remove_callback(PrinterCallback)
    reporter.trainer = trainer
    if isinstance(trainer, PreferenceTrainer):
        trainer.beta = config.beta
        trainer.measure_reference(config.batch_size)
    return trainer, choices


def _collator(config: TrainingConfig, choices: Choices) -> Any:
    if config.objective == "dpo":
        return PreferenceCollator()
    return PackingCollator() if choices.packing else PaddingCollator()


def steps_of(config: TrainingConfig, rows: int) -> int:
    """Optimiser steps of a whole training."""
    steps = max(1, math.ceil(config.epochs * math.ceil(rows / config.effective_batch)))
    return min(config.max_steps or steps, steps)


def _settings(job: TrainingJob, rows: EncodedRows, choices: Choices) -> SFTConfig:
    config = job.run.config
    # A whole number would be read as that many steps.
    warmup = min(config.warmup_ratio, 0.999999) if config.warmup_steps is None else config.warmup_steps
    return SFTConfig(
        output_dir=str(job.scratch_folder),
        num_train_epochs=config.epochs,
        max_steps=config.max_steps or -1,
        per_device_train_batch_size=config.batch_size // config.num_processes,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        optim=OPTIMIZERS[config.optimizer],
        lr_scheduler_type=config.scheduler,
        warmup_steps=warmup,
        seed=config.seed,
        bf16=choices.precision == "bf16",
        fp16=choices.precision == "fp16",
        use_cpu=choices.device == "cpu",
        activation_checkpointing=choices.gradient_checkpointing,
        # Rows are encoded and cut already.
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        # Collators read columns that the model itself does not.
        remove_unused_columns=False,
        # Rows lie in memory: processes that load them would only take cores.
        dataloader_num_workers=0,
        dataloader_pin_memory=choices.device == "cuda",
        logging_steps=max(1, steps_of(config, len(rows.examples)) // MAX_POINTS),
        # It would repeat the last finite loss in place of one that is not.
        logging_nan_inf_filter=False,
        # CheckpointSchedule and Evaluating decide when.
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        ddp_backend="gloo" if choices.device == "cpu" and config.num_processes > 1 else None,
    )


def _lora(config: TrainingConfig) -> LoraConfig:
    modules = config.lora_target_modules
    return LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=modules if modules == "all-linear" else modules.split(","),
        task_type=TaskType.CAUSAL_LM,
    )
