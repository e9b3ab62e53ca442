"""Control groups with little memory, for what happens when the kernel kills."""

import contextlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Where the memory controller is, by version of control groups, and what its limit is called there.
CONTROLLERS = ((Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"), (Path("/sys/fs/cgroup"), "memory.max"))
RECLAIM_BYTES = 1 << 20


@contextmanager
def starved(pid: int) -> Iterator[None]:
    """Let a process have hardly any more memory than it has; skips the test where limiting is not allowed."""
    for controller, limit in CONTROLLERS:
        group = controller / f"slm-{secrets.token_hex(4)}"
        try:
            group.mkdir()
            (group / limit).write_text(str(RECLAIM_BYTES))
            (group / "cgroup.procs").write_text(str(pid))
        except OSError:
            continue
        break
    else:
        pytest.skip("limiting memory needs root, and a machine that allows it")
    try:
        yield
    finally:
        # Empty again once the process is gone; the last to leave takes it away.
        with contextlib.suppress(OSError):
            group.rmdir()
