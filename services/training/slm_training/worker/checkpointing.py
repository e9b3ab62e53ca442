"""When a checkpoint is written: every so often, and when the training is to be taken up elsewhere."""

import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from slm_training.worker.checkpoint import folder_of
from slm_training.worker.reporting import Listener


class SuspendedError(Exception):
    """The training stopped at a checkpoint because it was asked to; somebody else goes on from there."""


class Checkpointing(TrainerCallback):
    """Asks for a checkpoint every `every_s` seconds and tells the supervisor about each.

    Only where a step also closes a logging window, and never at the end of an epoch, whose evaluation still has to
    come: what is measured is then the same whether or not a run was interrupted.
    """

    def __init__(self, listener: Listener, *, every_s: float) -> None:
        self._listener = listener
        self._every_s = every_s
        self._last = time.monotonic()
        self._asked = False
        self.suspended = False

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Decides about a checkpoint after this step."""
        self._asked = self._asked or self._listener.asked_to_suspend()
        if state.global_step % args.logging_steps or float(state.epoch or 0).is_integer():
            return
        if self._asked:
            self.suspended = control.should_training_stop = True
        if self._asked or time.monotonic() - self._last >= self._every_s:
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """A checkpoint lies on disk."""
        self._last = time.monotonic()
        folder = folder_of(Path(str(args.output_dir)), state.global_step)
        self._listener.send("checkpoint", step=state.global_step, folder=str(folder))
