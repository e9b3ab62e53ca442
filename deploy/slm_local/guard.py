"""Where the kernel does not end children with their parent (macOS), a small process does.

It holds the reading end of a pipe and the list of process groups. When the pipe closes, however this process ended, it
kills what is left on the list.
"""

import contextlib
import os
import signal
import subprocess
import sys
from typing import IO

_pipe: IO[bytes] | None = None


def watch(pid: int, *, always: bool = False) -> None:
    """Have the process group `pid` killed when this process ends. Linux needs it only when `always` is set."""
    if always or sys.platform != "linux":
        _tell(f"+{pid}\n")


def forget(pid: int) -> None:
    """The process group is gone; its number may come to mean another one."""
    if _pipe is not None:
        _tell(f"-{pid}\n")


def _tell(line: str) -> None:
    global _pipe
    if _pipe is None:
        argv = [sys.executable, "-I", "-S", __file__]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True)
        _pipe = process.stdin
    assert _pipe is not None
    with contextlib.suppress(BrokenPipeError):
        _pipe.write(line.encode())
        _pipe.flush()


def main() -> None:
    """Read the list until the pipe closes, then kill what is on it."""
    groups: set[int] = set()
    for line in sys.stdin:
        change = groups.add if line.startswith("+") else groups.discard
        change(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
