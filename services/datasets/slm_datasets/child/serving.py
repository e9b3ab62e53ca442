"""What the child processes that read untrusted files share.

They have no credentials and no network, bounded memory, processor time and file size, and speak JSON lines with their
supervisor.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from slm_datasets.child.sandbox import confine
from slm_datasets.formats.problems import FileProblemError, ProblemLog
from slm_datasets.formats.reading import BadRowsError, OnProgress
from slm_shared.jobs.child import Parent

TELL_EVERY_S = 0.5

Task = Callable[[dict[str, Any], OnProgress], dict[str, Any]]
"""Takes a job as it was sent, and returns its result."""


class Progress:
    """Tells the supervisor how far the work got, twice a second at most."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self._told: tuple[str, float] = ("", 0.0)

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Say how much of how much is done."""
        now = time.monotonic()
        if stage != self._told[0] or now - self._told[1] >= TELL_EVERY_S:
            self._told = (stage, now)
            self._parent.send("progress", progress={"stage": stage, "done": done, "total": total})


def serve(tasks: Mapping[str, Task]) -> NoReturn:
    """Do one task, and end."""
    status = _serve(tasks)
    # Without Python's teardown: it has nothing to save, and may hang or crash on threads of native libraries.
    sys.stderr.flush()
    os._exit(status)


def _serve(tasks: Mapping[str, Task]) -> int:
    parent = Parent()
    job = parent.receive()
    is_confined = confine(cpu_s=int(job["timeout_s"]), memory_bytes=int(job["memory_bytes"]))
    if not is_confined and sys.platform == "linux":
        sys.stderr.write("the network could not be shut off for this process\n")
    try:
        result = tasks[job["task"]](job, Progress(parent))
    except BadRowsError as error:
        parent.send("problem", problem=error.log.items[0].as_dict(), problems=error.log.as_dict())
        return 0
    except FileProblemError as problem:
        log = ProblemLog()
        log.add(problem)
        parent.send("problem", problem=problem.as_dict(), problems=log.as_dict())
        return 0
    except MemoryError:
        message = "Reading the file takes more memory than is allowed."
        hint = "Upload it as JSONL or Parquet, or in smaller files."
        parent.send("problem", problem=FileProblemError("out_of_memory", message, hint=hint).as_dict(), problems=None)
        return 0
    except Exception:  # noqa: BLE001  the edge of the child: its exit status says it, the trace goes to its log
        traceback.print_exc()
        return 1
    parent.send("result", result=result)
    return 0
