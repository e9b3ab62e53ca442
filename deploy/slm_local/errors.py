"""Errors of the launcher; each message is one line."""

from pathlib import Path


class StackError(Exception):
    """A problem that the user can solve: what happened, and what to do about it."""

    def __init__(self, problem: str, *, hint: str) -> None:
        super().__init__(f"{problem}; {hint}")


class PartError(StackError):
    """A part of the stack did not start, or ended by itself."""

    def __init__(self, part: str, problem: str, *, log_path: Path | None, hint: str | None = None) -> None:
        advice = hint or "the log says why"
        super().__init__(f"{part} {problem}", hint=f"{advice} (log: {log_path})" if log_path else advice)
        self.part = part


class PortTakenError(PartError):
    """The port of a part is in use."""

    def __init__(self, part: str, port: int) -> None:
        super().__init__(
            part,
            f"cannot listen on 127.0.0.1:{port}: the port is taken",
            log_path=None,
            hint="stop the program that uses it, or choose other ports (--port, --free-ports)",
        )


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group of tasks."""
    first = group.exceptions[0]
    return first_error(first) if isinstance(first, BaseExceptionGroup) else first
