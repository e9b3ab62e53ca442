"""The child process that trains: `python -m slm_training.worker.child`, started by the supervisor only.

It imports everything slow, says `ready`, waits for one job, trains and exits. It speaks JSON lines and reads and writes
files; it has no credentials and no network.
"""

import os
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch

from slm_ml.encoding import RowFormatError
from slm_shared.child import Parent
from slm_shared.errors import is_disk_full
from slm_shared.lease_client import DISK_FULL, DISK_FULL_MESSAGE
from slm_training.worker.checkpoint import CheckpointError
from slm_training.worker.checkpointing import SuspendedError
from slm_training.worker.job import TrainingJob
from slm_training.worker.rehearsal import rehearse
from slm_training.worker.trainer import DivergedError
from slm_training.worker.training import NoTrainableTokensError, run_training

EXIT_USER = 64
EXIT_SUSPENDED = 75
EXIT_FAILED = 1
MEMORY_SIGNS = ("can't allocate memory", "not enough memory", "out of memory")


def main() -> int:
    """Serve one job; the exit status."""
    parent = Parent()
    # Of no use to whoever reads the log of a failed run.
    warnings.simplefilter("ignore", FutureWarning)
    parent.send("ready")
    with tempfile.TemporaryDirectory() as folder:
        rehearse(Path(folder))
    job = TrainingJob.model_validate(parent.receive()["job"])
    try:
        result = run_training(job, Supervisor(parent))
    except SuspendedError:
        parent.send("suspended")
        return EXIT_SUSPENDED
    except DivergedError as error:
        message = f"The loss was not finite at step {error.step}. Try a lower learning rate."
        return _failed(parent, "diverged", message, blame="user")
    except NoTrainableTokensError:
        message = "No row leaves a token to learn from within max_length. Raise max_length or check the columns."
        return _failed(parent, "no_trainable_tokens", message, blame="user")
    except CheckpointError as error:
        message = f"The training cannot go on: {error}."
        return _failed(parent, "checkpoint_damaged", message, blame="system", retry=True)
    except RowFormatError as error:
        return _failed(parent, "row_format_not_trainable", f"Training is not possible: {error}.", blame="user")
    except Exception as error:  # noqa: BLE001  the edge of the child: whatever happened, the supervisor is told
        traceback.print_exc()
        if _is_out_of_memory(error):
            message = "Training ran out of memory. Try a smaller batch_size or max_length."
            return _failed(parent, "out_of_memory", message, blame="system", retry=True)
        if is_disk_full(error):
            return _failed(parent, DISK_FULL, DISK_FULL_MESSAGE, blame="infra", retry=True)
        message = f"Training ended with an unexpected {type(error).__name__}; the log has the details."
        return _failed(parent, "training_error", message, blame="system", retry=True)
    parent.send("result", result=result.model_dump())
    return 0


class Supervisor:
    """The supervisor, as the training sees it."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent

    def send(self, kind: str, **fields: Any) -> None:
        """Tell it something."""
        self._parent.send(kind, **fields)

    def asked_to_suspend(self) -> bool:
        """Whether it has said so; it says nothing else once the job is given."""
        return self._parent.waiting()


def _failed(parent: Parent, code: str, message: str, *, blame: str, retry: bool = False) -> int:
    parent.send("error", code=code, message=message, blame=blame, retry=retry)
    return EXIT_USER if blame == "user" else EXIT_FAILED


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in MEMORY_SIGNS)


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # Everything is written and said; taking the interpreter and torch apart would only take another second.
    os._exit(status)
