"""When a checkpoint is written: every so often, and when the training is to be taken up elsewhere."""

import time
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from slm_training.worker.child.reporting import Channel, Reporter
from slm_training.worker.child.snapshot import folder_of


class CheckpointSchedule(TrainerCallback):
    """Asks for a checkpoint every `every_s` seconds and tells the supervisor about each, with the metrics so far.

    Only where a step also closes a logging window, and never at the end of an epoch, whose evaluation still has to
    come: what is measured is then the same whether or not a run was interrupted. Of several processes the first decides
    for all.
    """

    def __init__(self, channel: Channel, reporter: Reporter, *, every_s: float) -> None:
        self._channel = channel
        self._reporter = reporter
        self._every_s = every_s
        self._last = time.monotonic()
        self._asked = False
        self.drained = False

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Decides about a checkpoint after this step."""
        self._asked = self._asked or self._channel.has_message()
        if state.global_step % args.logging_steps or float(state.epoch or 0).is_integer():
            return
        asked, due = _decided_by_first(args, self._asked, time.monotonic() - self._last >= self._every_s)
        if asked:
            self.drained = control.should_training_stop = True
        if asked or due:
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """A checkpoint lies on disk."""
        self._last = time.monotonic()
        if state.is_world_process_zero:
            folder = folder_of(Path(str(args.output_dir)), state.global_step)
            metrics = dict(self._reporter.latest)
            self._channel.send("checkpoint", step=state.global_step, folder=str(folder), metrics=metrics)


def _decided_by_first(args: TrainingArguments, *flags: bool) -> list[bool]:
    if args.world_size == 1:
        return list(flags)
    told = torch.tensor([float(flag) for flag in flags], device=args.device)
    distributed.broadcast(told, src=0)
    return [bool(flag) for flag in told.tolist()]
