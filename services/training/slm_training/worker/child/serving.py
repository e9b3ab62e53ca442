"""One job in the process that does it: a training or a preflight, and what its end means to the supervisor."""

import traceback

import torch

from slm_ml.encoding import RowFormatError
from slm_shared.errors import DISK_FULL, DISK_FULL_MESSAGE, is_disk_full
from slm_training.worker.child.preflight import plan_training
from slm_training.worker.child.reporting import Channel
from slm_training.worker.child.snapshot import CheckpointError
from slm_training.worker.child.training import run_training
from slm_training.worker.errors import EXIT_DRAINED, EXIT_FAILED, EXIT_USER, UNEXPECTED, DrainedError, TrainingError
from slm_training.worker.job import TrainingJob

# On a CPU torch and the C library raise a plain RuntimeError with one of these.
MEMORY_SIGNS = ("can't allocate memory", "not enough memory", "out of memory")


def serve(job: TrainingJob, channel: Channel) -> int | None:
    """Do one job; the exit status, or None when the process may take another: a plan leaves nothing behind."""
    try:
        if job.run.purpose == "plan":
            channel.send("plan", report=plan_training(job))
            return None
        result = run_training(job, channel)
    except DrainedError:
        channel.send("drained")
        return EXIT_DRAINED
    except Exception as error:  # noqa: BLE001  the edge of the child: whatever happened, the supervisor is told
        return report_failure(error, channel)
    if result is not None:
        channel.send("result", result=result.model_dump())
    return 0


def report_failure(error: Exception, channel: Channel) -> int:
    """Say what an exception means to whoever waits for the job, while it is being handled; the exit status."""
    if isinstance(error, TrainingError):
        return _failed(channel, error.code, error.message, blame="user")
    if isinstance(error, CheckpointError):
        message = f"The training cannot go on: {error}."
        return _failed(channel, "checkpoint_damaged", message, blame="system", retry=True)
    if isinstance(error, RowFormatError):
        return _failed(channel, "row_format_not_trainable", f"Training is not possible: {error}.", blame="user")
    traceback.print_exc()
    if _is_out_of_memory(error):
        message = "Training ran out of memory. Try a smaller batch_size or max_length."
        return _failed(channel, "out_of_memory", message, blame="system", retry=True)
    if is_disk_full(error):
        return _failed(channel, DISK_FULL, DISK_FULL_MESSAGE, blame="infra", retry=True)
    message = f"Training ended with an unexpected {type(error).__name__}; the log has the details."
    return _failed(channel, UNEXPECTED, message, blame="system", retry=True)


def _failed(channel: Channel, code: str, message: str, *, blame: str, retry: bool = False) -> int:
    channel.send("error", code=code, message=message, blame=blame, retry=retry)
    return EXIT_USER if blame == "user" else EXIT_FAILED


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in MEMORY_SIGNS)
