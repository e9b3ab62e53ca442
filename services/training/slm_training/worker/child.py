"""The child process that trains, started by the supervisor only, through `slm_shared.jobs.run_module`.

It imports everything slow, says `ready`, waits for a job, trains and exits; of plans it makes as many as it is asked
for. It speaks JSON lines and reads and writes files; it has no credentials and no network.
"""

import os
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any, Protocol

import torch

from slm_ml.encoding import RowFormatError
from slm_shared.errors import DISK_FULL, DISK_FULL_MESSAGE, is_disk_full
from slm_shared.jobs.child import Parent, die_with_parent
from slm_training.worker.capabilities import facts_of_machine
from slm_training.worker.errors import CheckpointError, SuspendedError, TrainingError
from slm_training.worker.group import JOB_VARIABLE
from slm_training.worker.job import TrainingJob
from slm_training.worker.preflight import plan_training
from slm_training.worker.rehearsal import rehearse
from slm_training.worker.training import run_training

EXIT_USER = 64
EXIT_SUSPENDED = 75
EXIT_FAILED = 1
UNEXPECTED = "training_error"
MEMORY_SIGNS = ("can't allocate memory", "not enough memory", "out of memory")


def main() -> int:
    """Serve one job; the exit status."""
    if (job_file := os.environ.get(JOB_VARIABLE)) is not None:
        return _serve_in_group(Path(job_file))
    parent = Parent()
    # Of no use to whoever reads the log of a failed run.
    warnings.simplefilter("ignore", FutureWarning)
    parent.send("ready", facts=facts_of_machine())
    with tempfile.TemporaryDirectory() as folder:
        rehearse(Path(folder))
    while True:
        job = TrainingJob.model_validate(parent.receive()["job"])
        if (status := serve(job, parent)) is not None:
            return status


def _serve_in_group(job_file: Path) -> int:
    """Do a share of a job; only the first of the group speaks."""
    parent = Parent() if os.environ["RANK"] == "0" else Mute()
    warnings.simplefilter("ignore", FutureWarning)
    return serve(TrainingJob.model_validate_json(job_file.read_text()), parent) or 0


class Voice(Protocol):
    """What a training needs of the way to its supervisor."""

    def send(self, kind: str, **fields: Any) -> None:
        """Send one message."""

    def waiting(self) -> bool:
        """Whether the supervisor has said something since the job was given."""


class Mute:
    """Stands where the supervisor would be: hears nothing and says nothing."""

    def __init__(self) -> None:
        die_with_parent()
        os.dup2(2, 1)

    def send(self, kind: str, **fields: Any) -> None:
        """Drops the message."""

    def waiting(self) -> bool:
        """Never."""
        return False


def serve(job: TrainingJob, parent: Voice) -> int | None:
    """Do one job; the exit status, or None when the process may take another: a plan leaves nothing behind."""
    try:
        if job.run.purpose == "plan":
            parent.send("plan", report=plan_training(job))
            return None
        result = run_training(job, Supervisor(parent))
    except SuspendedError:
        parent.send("suspended")
        return EXIT_SUSPENDED
    except Exception as error:  # noqa: BLE001  the edge of the child: whatever happened, the supervisor is told
        return report_failure(error, parent)
    if result is not None:
        parent.send("result", result=result.model_dump())
    return 0


def report_failure(error: Exception, parent: Voice) -> int:
    """Say what an exception means to whoever waits for the job, while it is being handled; the exit status."""
    if isinstance(error, TrainingError):
        return _failed(parent, error.code, error.message, blame="user")
    if isinstance(error, CheckpointError):
        message = f"The training cannot go on: {error}."
        return _failed(parent, "checkpoint_damaged", message, blame="system", retry=True)
    if isinstance(error, RowFormatError):
        return _failed(parent, "row_format_not_trainable", f"Training is not possible: {error}.", blame="user")
    traceback.print_exc()
    if _is_out_of_memory(error):
        message = "Training ran out of memory. Try a smaller batch_size or max_length."
        return _failed(parent, "out_of_memory", message, blame="system", retry=True)
    if is_disk_full(error):
        return _failed(parent, DISK_FULL, DISK_FULL_MESSAGE, blame="infra", retry=True)
    message = f"Training ended with an unexpected {type(error).__name__}; the log has the details."
    return _failed(parent, UNEXPECTED, message, blame="system", retry=True)


class Supervisor:
    """The supervisor, as the training sees it."""

    def __init__(self, parent: Voice) -> None:
        self._parent = parent

    def send(self, kind: str, **fields: Any) -> None:
        """Tell it something."""
        self._parent.send(kind, **fields)

    def asked_to_suspend(self) -> bool:
        """Whether it has said so; it says nothing else once the job is given."""
        return self._parent.waiting()


def _failed(parent: Voice, code: str, message: str, *, blame: str, retry: bool = False) -> int:
    parent.send("error", code=code, message=message, blame=blame, retry=retry)
    return EXIT_USER if blame == "user" else EXIT_FAILED


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in MEMORY_SIGNS)
