"""What the trainer tells while it runs: metric points, progress and log lines, as messages to the supervisor."""

import math
import time
from collections import deque
from datetime import UTC, datetime
from typing import Any, Protocol

import psutil
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

# A small model makes hundreds of steps per second; nobody sees more than a few.
PROGRESS_INTERVAL_S = 0.25
RATE_WINDOW_STEPS = 50
NAMES = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "mean_token_accuracy": "token_accuracy",
    "epoch": "epoch",
    "reward_accuracy": "reward_accuracy",
    "reward_margin": "reward_margin",
}
MEGABYTE = 2**20


class Channel(Protocol):
    """The connection of a training to its supervisor; `slm_shared.jobs.child.Parent` is the usual one."""

    def send(self, kind: str, **fields: Any) -> None:
        """Send one message."""

    def has_message(self) -> bool:
        """Whether the supervisor has said something since the job was given, which can only be to drain: stop at the
        next checkpoint."""


class NoChannel:
    """A connection to nobody, for work whose messages are not wanted."""

    def send(self, kind: str, **fields: Any) -> None:
        """Drops the message."""

    def has_message(self) -> bool:
        """Never."""
        return False


class Reporter(TrainerCallback):
    """Turns the trainer's callbacks into messages. `trainer` is set once it exists, for its token count."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._marks: deque[tuple[float, int]] = deque(maxlen=RATE_WINDOW_STEPS)
        self._last_progress = 0.0
        self._use = _DeviceUse()
        self.trainer: Any = None
        self.latest: dict[str, float | None] = {}

    def log(self, message: str, *, level: str = "info") -> None:
        """One line of the experiment's log."""
        self._channel.send("log", level=level, message=message, time=timestamp())

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Points of several series at one step; what is not finite is sent as null."""
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self.latest.update(finite)
        self._channel.send("metric", step=step, values=finite, time=timestamp())

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Starts the clock of the rate."""
        self._marks.append((time.monotonic(), 0))
        self._progress(state, force=True)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Closes the step and sends progress, a few times per second at most."""
        self.trainer.close_step()
        self._marks.append((time.monotonic(), self.trainer.seen_tokens))
        self._progress(state, force=state.global_step in (1, state.max_steps))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Sends the points of a logging step; the trainer's closing summary has no `loss` and is left out."""
        if not logs or "loss" not in logs:
            return
        values = {ours: float(logs[theirs]) for theirs, ours in NAMES.items() if theirs in logs}
        self.metrics(state.global_step, {**values, "tokens_per_s": self.tokens_per_s, **self._use.measured()})

    @property
    def tokens_per_s(self) -> float:
        """Over the last 50 steps, padding not counted."""
        (begun, before), (ended, after) = self._marks[0], self._marks[-1]
        return (after - before) / (ended - begun) if ended > begun else 0.0

    @property
    def _steps_per_s(self) -> float:
        (begun, _), (ended, _) = self._marks[0], self._marks[-1]
        return (len(self._marks) - 1) / (ended - begun) if ended > begun else 0.0

    def _progress(self, state: TrainerState, *, force: bool) -> None:
        now = time.monotonic()
        if not force and now - self._last_progress < PROGRESS_INTERVAL_S:
            return
        self._last_progress = now
        left = state.max_steps - state.global_step
        losses = self.trainer.step_losses
        self._channel.send(
            "progress",
            step=state.global_step,
            total_steps=state.max_steps,
            epoch=round(float(state.epoch or 0.0), 4),
            tokens_per_s=round(self.tokens_per_s, 1),
            eta_s=round(left / self._steps_per_s, 1) if self._steps_per_s else None,
            loss=losses[-1] if losses else None,
            time=timestamp(),
        )


class _DeviceUse:
    """How much memory the training holds and how busy its device is, since the last look."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._before = (time.monotonic(), time.process_time())

    def measured(self) -> dict[str, float]:
        """`memory_mb` of the GPU or the process, and `device_use`, the busy share of the cores it may use."""
        now = (time.monotonic(), time.process_time())
        wall, busy = now[0] - self._before[0], now[1] - self._before[1]
        self._before = now
        rss = self._process.memory_info().rss
        memory = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else rss
        use = busy / wall / torch.get_num_threads() if wall > 0 else 0.0
        return {"memory_mb": round(memory / MEGABYTE, 1), "device_use": round(min(1.0, use), 3)}


def timestamp() -> str:
    """This moment, as messages carry it."""
    return datetime.now(UTC).isoformat()
