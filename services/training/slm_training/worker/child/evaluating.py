"""Measuring while training: the evaluation loss, stopping early, and keeping the best weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from slm_ml.encoding import Example
from slm_ml.evaluation import mean_loss
from slm_training.worker.child import snapshot
from slm_training.worker.child.reporting import Reporter
from slm_training.worker.job import TrainingConfig


class Evaluation:
    """The evaluation rows, encoded when they are first needed so that training starts without waiting for them."""

    def __init__(self, encode: Callable[[], list[Example]]) -> None:
        self._encode = encode
        self._examples: list[Example] | None = None

    def loss(self, model: Any) -> float | None:
        """Mean negative log-likelihood per completion token, by the code that the evaluator uses; None without any."""
        if self._examples is None:
            self._examples = self._encode()
        if not self._examples:
            return None
        causal: PreTrainedModel = model.get_base_model() if hasattr(model, "get_base_model") else model
        chosen = causal.config._attn_implementation
        # As in the evaluator; evaluation rows may also be longer than what eager attention was chosen for.
        causal.set_attn_implementation("sdpa")
        loss = mean_loss(model, self._examples)
        causal.set_attn_implementation(chosen)
        return loss


class Evaluating(TrainerCallback):
    """Measures the evaluation loss every `eval_steps`, or after each epoch but the last, whose model is measured as it
    was saved. What it knows is kept in `trainer.best`, and so in every checkpoint: `loss` and `step` of the best
    evaluation, and how many `since` were no better."""

    def __init__(self, evaluation: Evaluation, reporter: Reporter, config: TrainingConfig, *, folder: Path) -> None:
        self._evaluation = evaluation
        self._reporter = reporter
        self._config = config
        self._folder = folder

    @property
    def _best(self) -> dict[str, Any]:
        best: dict[str, Any] = self._reporter.trainer.best
        return best

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        """Evaluates every `eval_steps`."""
        if self._config.eval_steps and state.global_step % self._config.eval_steps == 0:
            self._evaluate(state, control, model)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        """Evaluates after an epoch."""
        if not self._config.eval_steps:
            self._evaluate(state, control, model)

    def _evaluate(self, state: TrainerState, control: TrainerControl, model: Any) -> None:
        if state.global_step >= state.max_steps or (loss := self._evaluation.loss(model)) is None:
            return
        self._reporter.metrics(state.global_step, {"eval_loss": loss})
        if not self._best or loss < self._best["loss"]:
            self._best.update(loss=loss, step=state.global_step, since=0)
            if self._config.save_best_model and state.is_world_process_zero:
                save_file(snapshot.trained_weights(model), self._file(state.global_step))
            return
        self._best["since"] += 1
        patience = self._config.early_stopping_patience
        if patience and self._best["since"] >= patience:
            control.should_training_stop = True
            self._reporter.log(
                f"Stopped at step {state.global_step}: {patience} evaluations were no better than that of step "
                f"{self._best['step']}."
            )

    def _file(self, step: int) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in self._folder.glob("best-*.safetensors"):
            old.unlink()
        return self._folder / f"best-{step:08d}.safetensors"

    def keep_best(self, model: Any, last_step: int) -> int:
        """Put the best weights back where they are better than the last ones; the step whose weights these are."""
        if not self._config.save_best_model or not self._best:
            return last_step
        loss = self._evaluation.loss(model)
        if loss is not None and loss <= self._best["loss"]:
            return last_step
        step: int = self._best["step"]
        snapshot.put_weights(model, load_file(self._folder / f"best-{step:08d}.safetensors"))
        self._reporter.log(f"Kept the weights of step {step}, whose evaluation loss was the lowest.")
        return step
