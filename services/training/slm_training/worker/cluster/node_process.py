"""One process of a training on a node of the cluster: what Ray Train calls there."""

import os
import queue
import shutil
import sys
import tempfile
import threading
import traceback
import warnings
from pathlib import Path
from typing import Any

import psutil
import ray
import ray.train
from torch import distributed

from slm_training.worker.child.serving import report_failure, serve
from slm_training.worker.cluster.file_transfer import RESULT, PackedFiles, files_below, pieces, unpacked
from slm_training.worker.errors import EXIT_DRAINED
from slm_training.worker.job import TrainingJob

GROUP_VARIABLES = (
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "NODE_RANK",
    "RANK",
    "WORLD_SIZE",
)
# With the process id behind it, so that the next process can tell what a dead one left.
FOLDER_PREFIX = "slm-node-"
# gloo raises a plain RuntimeError with one of these.
LOST_SIGNS = ("connection closed by peer", "connection reset by peer", "broken pipe", "socket timeout")


class NodeProcessFailedError(Exception):
    """The process failed and has said why; Ray Train ends the others when it sees this."""


def train_on_node(mailbox: Any, job: str, files: PackedFiles) -> None:
    """Do one process's part of a job, which is given as JSON. Raises NodeProcessFailedError at a bad end."""
    warnings.simplefilter("ignore", FutureWarning)
    context = ray.train.get_context()
    if context.get_world_size() == 1:
        _leave_group()
    folder = _fresh_folder()
    channel = MailboxChannel(mailbox, folder / RESULT, rank=context.get_world_rank())
    try:
        status = _serve(TrainingJob.model_validate_json(job), files, folder, channel)
        channel.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if status not in (None, 0, EXIT_DRAINED):
        raise NodeProcessFailedError(f"The process ended with status {status} and has told why.")


def _serve(job: TrainingJob, files: PackedFiles, folder: Path, channel: "MailboxChannel") -> int | None:
    try:
        files.unpack(folder, ray.get)
    except Exception as error:  # noqa: BLE001  the edge of the process: whatever happened, the driver is told
        return report_failure(error, channel)
    return serve(unpacked(job, folder), channel)


class MailboxChannel:
    """The connection to the driver: of all processes the first one speaks, of the others only who fails.

    Messages and files go out in order and in the background; a second checkpoint waits until the first is on its way.
    """

    def __init__(self, mailbox: Any, result: Path, *, rank: int) -> None:
        self._mailbox = mailbox
        self._result = result
        self._rank = rank
        self._drain_requested = mailbox.drain_requested.remote()
        self._outbox: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._checkpoint_sent = threading.Event()
        self._checkpoint_sent.set()
        self._sender = threading.Thread(target=self._deliver, name="messages", daemon=True)
        self._sender.start()

    def send(self, kind: str, **fields: Any) -> None:
        """Leave a message in the mailbox; that of a checkpoint or of the result comes after its files."""
        if kind == "error":
            error = sys.exc_info()[1]
            fields |= {"lost_peer": _is_lost_peer(error), "traceback": traceback.format_exc(), "rank": self._rank}
        elif self._rank:
            return
        if kind == "checkpoint":
            self._checkpoint_sent.wait()
            self._checkpoint_sent.clear()
        self._outbox.put({"kind": kind, **fields})

    def has_message(self) -> bool:
        """Whether the driver has asked for something, which can only be to drain."""
        ready, _ = ray.wait([self._drain_requested], timeout=0)
        return bool(ready)

    def close(self) -> None:
        """Return when everything has been delivered."""
        self._outbox.put(None)
        self._sender.join()

    def _deliver(self) -> None:
        # When the mailbox is gone, so is the driver, and Ray ends this process.
        while (message := self._outbox.get()) is not None:
            if message["kind"] == "checkpoint":
                folder = Path(message["folder"])
                self._deliver_files(folder)
                shutil.rmtree(folder, ignore_errors=True)
                message["folder"] = folder.name
                self._checkpoint_sent.set()
            elif message["kind"] == "result":
                self._deliver_files(self._result)
            ray.get(self._mailbox.put.remote(message))

    def _deliver_files(self, folder: Path) -> None:
        for path in files_below(folder):
            name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
            for number, piece in enumerate(pieces(path)):
                ray.get(self._mailbox.put.remote({"kind": "file", "path": name, "data": piece, "begins": number == 0}))


def _is_lost_peer(error: BaseException | None) -> bool:
    """Whether another process of the group is gone: gloo and NCCL notice it at the next exchange."""
    if isinstance(error, distributed.DistBackendError | distributed.DistNetworkError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in LOST_SIGNS)


def _leave_group() -> None:
    """Make one process what it would be without Ray: libraries take it for a part of a group otherwise."""
    distributed.destroy_process_group()
    for name in GROUP_VARIABLES:
        os.environ.pop(name, None)


def _fresh_folder() -> Path:
    """A folder of this process; those of processes that were killed are removed."""
    top = Path(tempfile.gettempdir())
    for left in top.glob(f"{FOLDER_PREFIX}*"):
        owner = left.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))
