"""Control groups with little memory, for what happens when the kernel kills."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slm_shared.jobs.oom import CONTROLLERS, memory_group

LIMITS = {"memory.oom_control": "memory.limit_in_bytes", "memory.events": "memory.max"}
USAGES = {"memory.oom_control": "memory.usage_in_bytes", "memory.events": "memory.current"}
# Of version 2: it counts nothing, so `memory_group` does not see it.
OUTERMOST = CONTROLLERS[""][0]


class MemoryGroup:
    """A memory control group. This process is in it until it leaves; what it has started meanwhile stays."""

    def __init__(self, folder: Path, home: Path, file: str) -> None:
        self._folder, self._home, self._file = folder, home, file

    def leave(self) -> None:
        """Go back to where this process was."""
        (self._home / "cgroup.procs").write_text(str(os.getpid()))

    def limit(self, *, spare_bytes: int) -> None:
        """Allow whoever is in it no more than this beyond what it uses now."""
        used = int((self._folder / USAGES[self._file]).read_text())
        (self._folder / LIMITS[self._file]).write_text(str(used + spare_bytes))


@contextmanager
def own_memory_group() -> Iterator[MemoryGroup]:
    """Put this process into a new group; skips the test where that is not allowed."""
    home = memory_group() or OUTERMOST
    version = "memory" if (home / "memory.oom_control").exists() else ""
    mounted, file = CONTROLLERS[version]
    folder = mounted / f"slm-{secrets.token_hex(4)}"
    try:
        folder.mkdir()
        (folder / LIMITS[file]).read_text()
        (folder / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        pytest.skip("limiting memory needs root, and a machine that allows it")
    group = MemoryGroup(folder, home, file)
    try:
        yield group
    finally:
        group.leave()
        # Whatever has not ended yet keeps the group; the last to leave takes it away.
        with contextlib.suppress(OSError):
            folder.rmdir()
