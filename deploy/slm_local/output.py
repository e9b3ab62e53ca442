"""Output of the launcher: progress and problems on standard error, answers on standard output."""

import sys
import time


def say(line: str) -> None:
    """Print a line of progress, or a problem."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201  the only place that speaks, with `answer`


def answer(line: str) -> None:
    """Print a line that the user asked for; it may be piped."""
    print(line, flush=True)  # noqa: T201  see `say`


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() - self._begun


def part_line(name: str, state: str, detail: str = "") -> str:
    """One part of the stack in one line."""
    return f"  {name:<11} {state:<16} {detail}".rstrip()
