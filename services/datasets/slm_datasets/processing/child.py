"""The child process that reads a stranger's file: `python -m slm_datasets.processing.child`.

It has no credentials, bounded processor time and file size, and speaks JSON lines with its supervisor.
"""

import os
import resource
import sys
import traceback
from pathlib import Path

from slm_datasets.processing.canonical import make_canonical
from slm_datasets.processing.problems import FileProblemError
from slm_shared.child import Parent

MAX_ADDRESS_SPACE_BYTES = 16 * 1024**3
MAX_FILE_BYTES = 16 * 1024**3


def main() -> int:
    """Process one file; the exit status."""
    parent = Parent()
    job = parent.receive()
    _limit(cpu_s=int(job["timeout_s"]))
    try:
        result = make_canonical(
            Path(job["source"]),
            Path(job["target"]),
            file_format=job["format"],
            prompt_column=job["prompt_column"],
            completion_column=job["completion_column"],
        )
    except FileProblemError as problem:
        parent.send("problem", problem=problem.as_dict())
        return 0
    except Exception:  # noqa: BLE001  the edge of the child: the supervisor is told, the trace stays in the log
        traceback.print_exc()
        return 1
    parent.send("result", result=result)
    return 0


def _limit(*, cpu_s: int) -> None:
    if sys.platform != "linux":
        return
    # Address space is generous, because Polars reserves far more than it touches.
    for kind, limit in (
        (resource.RLIMIT_CPU, max(1, cpu_s)),
        (resource.RLIMIT_AS, MAX_ADDRESS_SPACE_BYTES),
        (resource.RLIMIT_FSIZE, MAX_FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)
