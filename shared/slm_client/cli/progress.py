"""One progress bar per stage on a terminal, one line per stage elsewhere; always on standard error."""

import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from slm_client.cli.terminal import duration, errors, printable, size

LINE_EVERY_S = 5.0
MIN_RATE_TIME_S = 0.2


class Stage:
    """One stage under way. `total` is what `completed` counts up to, None while that is unknown."""

    def __init__(self, progress: Progress | None, title: str) -> None:
        self._progress = progress
        self._title = title
        self._task: TaskID | None = progress.add_task(title, total=None, note="") if progress else None
        self._started = self._last_line = time.monotonic()
        self._completed = 0.0
        self._note = ""

    @property
    def elapsed_s(self) -> float:
        """Seconds since the stage began."""
        return time.monotonic() - self._started

    def show(self, note: str, *, completed: float | None = None, total: float | None = None) -> None:
        """Show the state of the stage."""
        self._note = printable(note)
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=completed, total=total, note=self._note)
        elif time.monotonic() - self._last_line >= LINE_EVERY_S:
            self._last_line = time.monotonic()
            errors.print(f"  {self._title}: {self._note}", markup=False)

    def advance_bytes(self, count: int, *, total: int) -> None:
        """Count transferred bytes, and show the rate and the remaining time."""
        self._completed += count
        rate = self._completed / max(self.elapsed_s, MIN_RATE_TIME_S)
        left = f", {duration((total - self._completed) / rate)} to go" if rate and self._completed < total else ""
        self.show(f"{size(int(rate))}/s{left}", completed=self._completed, total=total)

    def done(self, note: str) -> None:
        """End the stage, and show its result."""
        self._note = printable(note)
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, total=1, completed=1, note=self._note)
            self._progress.stop_task(self._task)
        else:
            errors.print(f"{self._title}: {self._note} ({self.elapsed_s:.1f} s)", markup=False)


class Stages:
    """The stages of one command, one below the other."""

    def __init__(self) -> None:
        self._progress = _bars() if errors.is_terminal else None

    def __enter__(self) -> Self:
        if self._progress:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress:
            self._progress.stop()

    def stage(self, title: str) -> Stage:
        """Start a stage."""
        return Stage(self._progress, title)


def _bars() -> Progress:
    return Progress(
        SpinnerColumn(finished_text="*"),
        TextColumn("{task.description:<22}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=errors,
    )
