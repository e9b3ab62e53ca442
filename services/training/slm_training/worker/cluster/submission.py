"""One training submitted to Ray Train, and what comes back from it."""

import sys
import threading
import time
import traceback
from functools import partial
from importlib import import_module
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from slm_shared.jobs.child import clean_environment
from slm_training.worker.child.reporting import Channel, timestamp
from slm_training.worker.cluster.failures import Message, failure_message
from slm_training.worker.cluster.file_transfer import RESULT, PackedFiles, pack, write_piece
from slm_training.worker.cluster.mailbox import Mailbox
from slm_training.worker.cluster.options import ClusterOptions
from slm_training.worker.job import TrainingJob

NODE_MODULE = "slm_training.worker.cluster.node_process"
# Also how long a request to drain may lie unseen.
TAKE_S = 0.25
# Ray waits for processes that hang on a lost node; the end of the training is known by then.
CLOSING_S = 60.0
ENDS = frozenset({"plan", "result", "drained"})


class Submission:
    """A job on its way through the cluster. `parent` hears what its first process says."""

    def __init__(self, job: TrainingJob, options: ClusterOptions, parent: Channel) -> None:
        self._job = job
        self._options = options
        self._parent = parent
        self._processes = 1 if job.run.purpose == "plan" else job.run.config.num_processes
        self._asked_to_drain = False
        self._end: Message | None = None
        self._errors: list[Message] = []
        self._failure: Exception | None = None
        self._ended_at: float | None = None
        self._mailbox: Any = None

    def run(self) -> Message:
        """Train to the end; the last message for the supervisor. What was taken of the cluster is given back."""
        here = NodeAffinitySchedulingStrategy(node_id=ray.get_runtime_context().get_node_id(), soft=False)
        self._mailbox = ray.remote(num_cpus=0)(Mailbox).options(scheduling_strategy=here).remote()
        self._log(f"Submitting to the Ray cluster at {self._options.address}; processes: {self._processes}.")
        fit = threading.Thread(target=self._fit, name="fit", daemon=True)
        fit.start()
        while fit.is_alive() and not self._is_overdue:
            self._hear()
        while self._hear(timeout_s=0):
            pass
        ray.kill(self._mailbox)
        # It comes when everything before it has arrived: what is lost while Ray closes is no loss any more.
        if self._end is not None:
            return self._end
        return failure_message(self._errors, self._failure, processes=self._processes)

    @property
    def _is_overdue(self) -> bool:
        """Whether the end is known and Ray takes too long to close."""
        return self._ended_at is not None and time.monotonic() - self._ended_at > CLOSING_S

    def _fit(self) -> None:
        try:
            self._trainer().fit()
        except Exception as error:  # noqa: BLE001  read by `run`, in the thread that answers for it
            traceback.print_exc()
            self._failure = error

    def _trainer(self) -> Any:
        job = self._job.model_copy(update={"threads": self._job.threads or self._options.cpus})
        work = partial(_train_on_node, self._mailbox, job.model_dump_json(), pack(job, ray.put))
        return _Trainer(
            work,
            torch_config=TorchConfig(backend="nccl" if self._options.gpus else "gloo"),
            scaling_config=ScalingConfig(
                num_workers=self._processes,
                use_gpu=self._options.gpus > 0,
                resources_per_worker=self._options.per_process,
            ),
            run_config=RunConfig(
                name=f"slm-{job.run.run_id}-e{job.run.epoch}",
                # Only its own notes lie there; everything else goes through the mailbox.
                storage_path=str(job.scratch_folder / "ray"),
                # The platform tries again, from its last checkpoint, and knows when to stop trying.
                failure_config=FailureConfig(max_failures=0, controller_failure_limit=0, max_preemption_failures=0),
                worker_runtime_env={"env_vars": self._environment()},
            ),
        )

    def _environment(self) -> dict[str, str]:
        ours = clean_environment(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="true")
        kept = ("HF_", "OMP_WAIT_", "PYTHONHASHSEED", "SLM_TRAINER_", "TOKENIZERS_")
        environment = {name: value for name, value in ours.items() if name.startswith(kept)}
        # A process that has asked for no GPU may see those of others.
        return environment if self._options.gpus else {**environment, "CUDA_VISIBLE_DEVICES": ""}

    def _hear(self, timeout_s: float = TAKE_S) -> bool:
        """Pass on what lies in the mailbox; whether there was anything."""
        if not self._asked_to_drain and self._parent.has_message():
            self._asked_to_drain = True
            ray.get(self._mailbox.request_drain.remote())
        messages: list[Message] = ray.get(self._mailbox.take.remote(timeout_s))
        for message in messages:
            self._take(message)
        return bool(messages)

    def _take(self, message: Message) -> None:
        kind = message["kind"]
        if kind == "file":
            self._write(message)
        elif kind == "error":
            sys.stderr.write(f"Process {message['rank']}:\n{message['traceback']}\n")
            self._errors.append(message)
            self._ended_at = self._ended_at or time.monotonic()
        elif kind in ENDS:
            self._end = message
            self._ended_at = time.monotonic()
        else:
            if kind == "checkpoint":
                message["folder"] = str(self._job.scratch_folder / message["folder"])
            self._parent.send(**message)

    def _write(self, message: Message) -> None:
        path, data, begins = message["path"], message["data"], message["begins"]
        top, _, rest = path.partition("/")
        if top == RESULT:
            write_piece(self._job.output_folder, rest, data, begins=begins)
        else:
            write_piece(self._job.scratch_folder, path, data, begins=begins)

    def _log(self, message: str) -> None:
        self._parent.send("log", level="info", message=message, time=timestamp())


def _train_on_node(mailbox: Any, job: str, files: PackedFiles) -> None:
    """What Ray calls in each process. What trains is imported there only: the driver does not need it."""
    import_module(NODE_MODULE).train_on_node(mailbox, job, files)


class _Trainer(TorchTrainer):  # type: ignore[misc]  # no types without the extra
    """Ray's, without the detached actor that gives back what a run had reserved when its driver is lost.

    Without Ray's dashboard that actor cannot see that the run has ended, and stays for ever. Ray gives the room back
    without its help when the driver is gone.
    """

    def _create_default_callbacks(self) -> list[Any]:
        callbacks: list[Any] = super()._create_default_callbacks()
        return [each for each in callbacks if not isinstance(each, PlacementGroupCleanerCallback)]
