"""How much memory a measurement took at its highest."""

import contextlib
import resource
from pathlib import Path

PROCESS = Path("/proc/self")


def forget_peak() -> None:
    """Reset the peak, for a child measures one model after the other. Does nothing where the kernel cannot.

    Writing 5 to clear_refs resets VmHWM: https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html
    """
    with contextlib.suppress(OSError):
        (PROCESS / "clear_refs").write_text("5")


def peak_bytes() -> int:
    """The highest resident memory of this process since the peak was forgotten."""
    with contextlib.suppress(OSError):
        for line in (PROCESS / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    # In kilobytes on Linux.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
