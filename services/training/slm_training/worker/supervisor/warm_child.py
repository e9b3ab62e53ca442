"""One child process, kept warm: its slow imports are done before there is a job."""

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Any

import structlog

from slm_shared.jobs.child import RUN_MODULE, Child, model_environment
from slm_shared.storage.ids import new_id
from slm_training.worker.cluster.options import ClusterOptions

log = structlog.get_logger()

MODULE = "slm_training.worker.child.main"
DRIVER_MODULE = "slm_training.worker.cluster.driver"
# A driver answers at once unless its cluster is gone.
ANSWER_TIMEOUT_S = 10.0
# A child that cannot start (no memory, a broken installation) must not be started over without a pause.
RESTART_DELAY_S = 2.0
KEPT_LOGS = 10


class ChildNotReadyError(Exception):
    """The child ended, or took too long, before it could take a job."""


class WarmChild:
    """Holds the next child. `ready` waits for it, `take` hands it over, `start` begins the one after.

    The child trains here, or submits to `cluster`. `facts` is what it last reported about the hardware.
    """

    def __init__(self, work_dir: Path, *, timeout_s: float, cluster: ClusterOptions | None = None) -> None:
        self._work_dir = work_dir.absolute()
        self._timeout_s = timeout_s
        self._cluster = cluster
        self._starting: asyncio.Future[Child] | None = None
        self.facts: dict[str, Any] = {}

    def start(self) -> None:
        """Begin to warm a child, unless there is one already."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._start_child())

    async def ready(self) -> None:
        """Return once a child can take a job; one that died is replaced."""
        while True:
            self.start()
            assert self._starting is not None
            try:
                # Whoever waits may be cancelled; the child goes on warming for the next one.
                child = await asyncio.shield(self._starting)
            except (ChildNotReadyError, OSError) as error:
                log.error("trainer.child_not_ready", why=str(error))
                self._starting = None
                await asyncio.sleep(RESTART_DELAY_S)
                continue
            if child.exit_code is None and await self._still_answers(child):
                return
            log.warning("trainer.warm_child_died", exit_code=child.exit_code)
            self._starting = None

    async def _still_answers(self, child: Child) -> bool:
        """Whether a driver still answers for its cluster, which comes and goes without us; notes what it has now."""
        if self._cluster is None:
            return True
        await child.send({"facts": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                message = await child.receive()
            if message is not None:
                self.facts = message["facts"]
                return True
        await child.stop(grace_s=0)
        return False

    async def take(self) -> Child:
        """The warm child, which belongs to the caller from now on."""
        await self.ready()
        assert self._starting is not None
        child = self._starting.result()
        self._starting = None
        return child

    async def give_back(self, child: Child) -> None:
        """Take back a child that is still good for a job."""
        if self._starting is not None:
            await child.stop(grace_s=0)
            return
        self._starting = asyncio.get_running_loop().create_future()
        self._starting.set_result(child)

    async def close(self) -> None:
        """Stop the child that waits."""
        if self._starting is None:
            return
        if not self._starting.done():
            self._starting.cancel()
        await asyncio.wait([self._starting])
        if not self._starting.cancelled() and self._starting.exception() is None:
            await self._starting.result().stop(grace_s=0)

    async def _start_child(self) -> Child:
        logs = self._work_dir / "logs"
        _prune(logs, keep=KEPT_LOGS)
        # One process trains on one device; which of several is the operator's to say.
        environment = {"CUDA_VISIBLE_DEVICES": "0", **model_environment(self._work_dir)}
        command = [*RUN_MODULE, MODULE]
        if self._cluster is not None:
            environment |= self._cluster.environment()
            command = [sys.executable, "-m", DRIVER_MODULE, self._cluster.model_dump_json()]
        child = await Child.start(command, env=environment, log_path=logs / f"{new_id()}.log")
        try:
            async with asyncio.timeout(self._timeout_s):
                message = await child.receive()
        except BaseException:
            await child.stop(grace_s=0)
            raise
        if message is None or message.get("kind") != "ready":
            await child.stop(grace_s=0)
            raise ChildNotReadyError(child.log_tail() or "it said nothing")
        self.facts = message.get("facts", {})
        return child


def _prune(folder: Path, *, keep: int) -> None:
    """Remove all but the newest logs."""
    files = sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[keep:]:
        path.unlink(missing_ok=True)
