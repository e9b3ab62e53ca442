"""At most one stack runs on a data folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slm_local.errors import StackError


class AlreadyRunningError(StackError):
    """Another launcher holds the data folder."""

    def __init__(self, data_dir: Path, pid: str) -> None:
        super().__init__(
            f"a stack already runs on {data_dir} (process {pid})",
            hint="stop it with Ctrl-C there, or choose another --data-dir",
        )


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the folder while the block runs; the kernel lets go of it when this process ends, however it ends."""
    data_dir.mkdir(parents=True, exist_ok=True)
    # Not "w", which would empty the file of a launcher that holds it.
    with (data_dir / "lock").open("a+") as stream:
        stream.seek(0)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(data_dir, stream.read().strip() or "unknown") from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


def is_locked(data_dir: Path) -> bool:
    """Whether a launcher is running on the folder now."""
    try:
        with (data_dir / "lock").open() as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def holder(data_dir: Path) -> int | None:
    """The process id of the launcher that runs on the folder; None when none does."""
    return int((data_dir / "lock").read_text()) if is_locked(data_dir) else None
