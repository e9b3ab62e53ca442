"""The loop of every worker process: wait, claim one job, hold its lease while it runs, report, start over.

A message on the durable is only a wake-up; a poll every few seconds finds the same work when NATS is away.
"""

import asyncio
import contextlib
import math
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from slm_shared.delivery.broker import Broker
from slm_shared.errors import DISK_FULL, DISK_FULL_MESSAGE, UnavailableError, is_disk_full
from slm_shared.events.topology import EVENTS
from slm_shared.jobs.client import (
    JobFailedError,
    Lease,
    LeaseClient,
    LeaseLostError,
    NoContactError,
    RefusedError,
    Stop,
    persist,
)
from slm_shared.jobs.protocol import Fenced, Grant
from slm_shared.observability.tracing import working
from slm_shared.settings import SECRETS_DIR, PlatformSettings

log = structlog.get_logger()

# EX_TEMPFAIL of sysexits.h: whoever started this process may start it again.
EXIT_NO_CONTACT = 75
GIVE_UP_S = 10.0
# Short: the service often starts beside the worker, and its first job waits for this.
FORGET_PAUSE_S = 0.3

T = TypeVar("T")
G = TypeVar("G", bound=Grant)


class WorkerSettings(BaseSettings):
    """What every worker has of its own. A worker subclasses this with its `env_prefix`.

    `name` must be stable over restarts and unique among the running workers: at start a worker gives up what a worker
    of that name held before. `no_contact_s` is how long it computes on while the service does not answer. `ready_file`
    exists while the worker can take or does a job; health checks test it.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, secrets_dir=SECRETS_DIR)

    name: str = Field(min_length=1, max_length=100)
    pool: str = "default"
    work_dir: Path
    poll_s: float = Field(5.0, gt=0)
    no_contact_s: float = Field(900.0, gt=0)
    stop_grace_s: float = Field(5.0, ge=0)
    log_level: str = "INFO"
    ready_file: Path | None = Field(None, validation_alias="SLM_READY_FILE")
    platform: PlatformSettings = Field(default_factory=PlatformSettings)


class Work(Protocol[G]):
    """What a worker does with its leases."""

    async def ready(self) -> None:
        """Return once the next job could start at once."""

    async def drain(self) -> None:
        """Bring the job in hand to where somebody else can take it up; it is cancelled right after."""

    async def run(self, lease: Lease[G]) -> Fenced:
        """Do the job and return the service's own completion; raises JobFailedError.

        When cancelled it stops its child before it returns, and stores nothing more.
        """

    async def close(self) -> None:
        """Stop everything that was kept warm."""


class Waiting(Protocol):
    """How a worker spends the time while there is nothing to do."""

    async def wait(self) -> Msg | None:
        """Return when it is worth asking for work again, with the message that said so, if any."""


class Polling:
    """Asks again every `poll_s`."""

    def __init__(self, poll_s: float) -> None:
        self._poll_s = poll_s

    async def wait(self) -> Msg | None:
        """Pause."""
        await asyncio.sleep(self._poll_s)
        return None


class WakeUps:
    """Waits on a durable consumer while there is nothing to do; without NATS it is just a pause."""

    def __init__(self, broker: Broker, *, durable: str, poll_s: float) -> None:
        self._broker = broker
        self._durable = durable
        self._poll_s = poll_s
        self._connecting: asyncio.Task[JetStreamContext] | None = None
        self._pull: JetStreamContext.PullSubscription | None = None

    async def wait(self) -> Msg | None:
        """The next wake-up, or None after `poll_s`."""
        begun = asyncio.get_running_loop().time()
        try:
            if self._pull is None:
                self._pull = await self._subscribe()
            return (await self._pull.fetch(1, timeout=self._poll_s))[0]
        except NatsTimeoutError:
            return None
        except (NatsError, OSError, TimeoutError) as error:
            log.warning("worker.no_wakeups", durable=self._durable, error=type(error).__name__)
            await self._unsubscribe()
            if self._connecting is not None and self._connecting.done():
                self._connecting = None
            await asyncio.sleep(begun + self._poll_s - asyncio.get_running_loop().time())
            return None

    async def _subscribe(self) -> JetStreamContext.PullSubscription:
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._broker.jetstream())
        # Connecting goes on however long it takes; only this wait for it ends.
        async with asyncio.timeout(self._poll_s):
            jetstream = await asyncio.shield(self._connecting)
        return await jetstream.pull_subscribe_bind(durable=self._durable, stream=EVENTS)

    async def _unsubscribe(self) -> None:
        """Leave nothing behind that the client would subscribe to again on its next connection."""
        if self._pull is not None:
            with contextlib.suppress(NatsError):
                await self._pull.unsubscribe()
            self._pull = None


class Worker(Generic[G]):
    """Claims jobs one after the other and sees each to its end."""

    def __init__(self, settings: WorkerSettings, *, leases: LeaseClient[G], work: Work[G], wakeups: Waiting) -> None:
        self._settings = settings
        self._leases = leases
        self._work = work
        self._wakeups = wakeups
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Drain: claim nothing more, let the job in hand save what it has, and give its lease back."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`. Raises NoContactError when the service stayed away for too long during a job."""
        self._mark_ready(False)
        try:
            # Side by side: the child is warm by the time the service answers.
            forgotten = persist(self._leases.forget, within_s=math.inf, what="forget", longest_pause_s=FORGET_PAUSE_S)
            await self._unless_stopping(asyncio.gather(forgotten, self._work.ready()))
            message: Msg | None = None
            while not self._stopping.is_set():
                await self._unless_stopping(self._work.ready())
                if not self._stopping.is_set() and await self._claim_and_serve(message):
                    message = None
                else:
                    message = await self._unless_stopping(self._wakeups.wait())
        finally:
            self._mark_ready(False)
            await self._work.close()

    async def _claim_and_serve(self, message: Msg | None) -> bool:
        """Claim one job and serve it to its end; False when there was none. Acknowledges what woke us."""
        try:
            lease = await self._leases.claim()
        except UnavailableError as error:
            # The message, if there was one, stays unacknowledged and comes back.
            log.warning("worker.cannot_claim", why=error.message)
            return False
        self._mark_ready(True)
        if message is not None:
            await _acknowledge(message)
        if lease is None:
            return False
        with working(lease.key, epoch=lease.epoch, traceparent=lease.traceparent):
            await self._serve(lease)
        return True

    async def _serve(self, lease: Lease[G]) -> None:
        """Run one job under its lease and report how it ended."""
        log.info("job.leased", key=lease.key, epoch=lease.epoch)
        job = asyncio.ensure_future(self._work.run(lease))
        hold = asyncio.create_task(self._hold(lease))
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({job, hold, stop}, return_when=asyncio.FIRST_COMPLETED)
            if job.done() and await self._is_started(lease, hold):
                await self._report(lease, job)
            else:
                if not hold.done() or hold.result() is Stop.DRAINED:
                    await self._drain(job)
                await _cancelled(job)
                await self._give_up(lease, hold.result() if hold.done() else Stop.DRAINED)
        finally:
            await _cancelled(job, hold, stop)

    async def _drain(self, job: "asyncio.Future[Any]") -> None:
        """Told to stop: let the job save what it has, for as long as we may take."""
        draining = asyncio.create_task(self._work.drain())
        await asyncio.wait({job, draining}, timeout=self._settings.stop_grace_s, return_when=asyncio.FIRST_COMPLETED)
        await _cancelled(draining)

    async def _is_started(self, lease: Lease[G], hold: "asyncio.Task[Stop]") -> bool:
        """Wait until the service knows of the start: it would refuse the end of what never began."""
        started = asyncio.create_task(lease.started.wait())
        await asyncio.wait({started, hold}, return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        return lease.started.is_set()

    async def _hold(self, lease: Lease[G]) -> Stop:
        """Announce the start and keep the lease; returns when the job has to end."""
        within_s = self._settings.no_contact_s
        try:
            await persist(lambda: self._leases.start(lease), within_s=within_s, what="start")
            lease.started.set()
            while True:
                await asyncio.sleep(lease.heartbeat_s)
                asked = await persist(lambda: self._leases.heartbeat(lease), within_s=within_s, what="heartbeat")
                self._mark_ready(True)
                if asked is not None:
                    return asked
        except (LeaseLostError, RefusedError):
            return Stop.LOST
        except NoContactError:
            return Stop.NO_CONTACT

    async def _report(self, lease: Lease[G], job: "asyncio.Future[Fenced]") -> None:
        """Tell the service how a finished job ended, however long it takes to reach it."""
        report = asyncio.ensure_future(self._say(lease, _report_of(self._leases, lease, job)))
        try:
            await self._unless_stopping(asyncio.shield(report))
            # When told to stop, the answer to what is on its way is still worth some seconds.
            async with asyncio.timeout(GIVE_UP_S):
                await report
            log.info("job.reported", key=lease.key, epoch=lease.epoch)
        except LeaseLostError:
            log.warning("job.report_refused", key=lease.key, epoch=lease.epoch)
            # A result is also refused when the run is being cancelled; then it still waits for us to let go.
            await self._give_up(lease, Stop.CANCELLED)
        except TimeoutError:
            log.warning("job.not_reported", key=lease.key, epoch=lease.epoch)
        finally:
            await _cancelled(report)

    async def _say(self, lease: Lease[G], call: Callable[[], Awaitable[None]]) -> None:
        """Report until it arrives. What the service does not take ends the job as failed: nobody may wait for ever."""
        within_s = self._settings.no_contact_s
        try:
            await persist(call, within_s=within_s, what="report")
        except RefusedError as error:
            log.error("job.report_not_taken", key=lease.key, why=error.message)
            failure = JobFailedError("report_refused", "The worker's report was not accepted.", blame="system")
            await persist(lambda: self._leases.fail(lease, failure), within_s=within_s, what="fail")

    async def _give_up(self, lease: Lease[G], why: Stop) -> None:
        """The job was stopped before its end: say so, unless the lease is gone."""
        log.info("job.stopped", key=lease.key, epoch=lease.epoch, why=why)
        if why is Stop.LOST:
            return
        if why is Stop.NO_CONTACT:
            raise NoContactError(lease.key)
        with contextlib.suppress(LeaseLostError, NoContactError):
            # The service knows whether it asked for this: it ends a run that is being cancelled and requeues others.
            await persist(lambda: self._leases.release(lease), within_s=GIVE_UP_S, what="release")

    async def _unless_stopping(self, awaitable: Awaitable[T]) -> T | None:
        """The result, or None when `stop` was called first."""
        task = asyncio.ensure_future(awaitable)
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            await _cancelled(task, stop)

    def _mark_ready(self, ready: bool) -> None:
        path = self._settings.ready_file
        if path is not None and ready:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        elif path is not None:
            path.unlink(missing_ok=True)


def _report_of(leases: LeaseClient[G], lease: Lease[G], job: "asyncio.Future[Fenced]") -> Callable[[], Awaitable[None]]:
    error = job.exception()
    if error is None:
        return lambda: leases.complete(lease, job.result())
    if isinstance(error, JobFailedError):
        log.warning("job.failed", key=lease.key, code=error.code, blame=error.blame)
        failure = error
    elif is_disk_full(error):
        log.error("job.disk_full", key=lease.key)
        failure = JobFailedError(DISK_FULL, DISK_FULL_MESSAGE, blame="infra", retry=True)
    else:
        log.error("job.crashed", key=lease.key, exc_info=error)
        failure = JobFailedError("worker_error", "The worker met an unexpected error.", blame="system", retry=True)
    return lambda: leases.fail(lease, failure)


async def _acknowledge(message: Msg) -> None:
    with contextlib.suppress(NatsError, OSError):
        await message.ack()


async def _cancelled(*tasks: "asyncio.Future[Any]") -> None:
    """Cancel what still runs and wait until all have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def run_worker(worker: Worker[G]) -> int:
    """Run until SIGTERM or SIGINT; the exit status of the process."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    try:
        await worker.run()
    except NoContactError:
        return EXIT_NO_CONTACT
    return 0
