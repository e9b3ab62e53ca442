"""The worker's side of leased work: claim, heartbeat, then complete, fail or release, over the owner's REST.

Every write carries the epoch of the lease. The service's answers decide: a lost lease ends the work at once, a service
that does not answer does not.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

import structlog

from slm_shared.errors import UnavailableError
from slm_shared.peers import Peer
from slm_shared.storage.ids import new_id

log = structlog.get_logger()

RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 5.0)
WRITE_TIMEOUT_S = 5.0
COMPLETE_TIMEOUT_S = 120.0

T = TypeVar("T")


class LeaseLostError(Exception):
    """Somebody else holds the work now, or nobody may: stop, and write nothing more."""


class NoContactError(Exception):
    """The service did not answer for as long as the worker may go on without it."""


class RefusedError(UnavailableError):
    """The service does not take these words, and never will: saying them again is no use."""


class JobFailedError(Exception):
    """The work ended without a result.

    `blame` is `user` (their data or settings; never retried), `system` (ours) or `infra` (something under us).
    """

    def __init__(self, code: str, message: str, *, blame: str, retry: bool = False, log_tail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.blame = blame
        self.retry = retry
        self.log_tail = log_tail


class Stop(StrEnum):
    """Why a job that runs well has to end."""

    CANCELLED = "cancelled"
    DRAINED = "drained"
    LOST = "lost"
    NO_CONTACT = "no_contact"


class Lease:
    """One granted lease.

    `body` is what the service sent, `step` how far the work got of `total` if that is known (both told with each
    heartbeat), `started` set once the service knows that the work has begun.
    """

    def __init__(self, body: dict[str, Any], *, key: str) -> None:
        self.key: str = body[key]
        self.epoch: int = body["epoch"]
        self.heartbeat_s: float = body["heartbeat_s"]
        self.body = body
        self.step = 0
        self.total: int | None = None
        self.started = asyncio.Event()


class LeaseClient:
    """The lease routes of one service, e.g. below `/api/leases`.

    Every method raises UnavailableError when the service does not answer; those that write for a lease raise
    LeaseLostError when it is not held any more. `capabilities`, once known, are told with every claim.
    """

    def __init__(self, peer: Peer, *, path: str, key: str, worker: str, pool: str) -> None:
        self._peer = peer
        self._path = path
        self._key = key
        self._worker = worker
        self._pool = pool
        self._claim_id: UUID | None = None
        self.capabilities: dict[str, Any] = {}

    async def forget(self) -> None:
        """Let whatever a previous process of this worker held run out now."""
        await self._post(f"{self._path}:forget", {"worker": self._worker})

    async def claim(self) -> Lease | None:
        """The next job, or None. A reply that was lost is asked for again under the same claim id."""
        self._claim_id = self._claim_id or new_id()
        body: dict[str, Any] = {"pool": self._pool, "worker": self._worker, "claim_id": str(self._claim_id)}
        if self.capabilities:
            body["capabilities"] = self.capabilities
        answer = await self._post(f"{self._path}:claim", body)
        self._claim_id = None
        return Lease(answer, key=self._key) if answer else None

    async def start(self, lease: Lease) -> None:
        """Announce that the work has begun."""
        await self._write(lease, "start", {})

    async def heartbeat(self, lease: Lease) -> Stop | None:
        """Keep the lease; the answer may ask to stop."""
        total = {} if lease.total is None else {"total": lease.total}
        answer = await self._write(lease, "heartbeat", {"step": lease.step, **total}) or {}
        if answer.get("cancel"):
            return Stop.CANCELLED
        return Stop.DRAINED if answer.get("drain") else None

    async def complete(self, lease: Lease, result: Mapping[str, Any]) -> None:
        """Report the result; the service reads the artifact back before it answers."""
        await self._write(lease, "complete", result, timeout_s=COMPLETE_TIMEOUT_S)

    async def fail(self, lease: Lease, error: JobFailedError) -> None:
        """Report that the job ended without a result."""
        fields = ("code", "message", "blame", "retry", "log_tail")
        # JSON bodies of the platform hold no NUL; what a library prints may.
        said = {name: getattr(error, name) for name in fields} | {"log_tail": error.log_tail.replace("\0", "")}
        await self._write(lease, "fail", said)

    async def tell(self, lease: Lease, verb: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Anything else that only the holder of a lease may say."""
        return await self._write(lease, verb, body)

    async def release(self, lease: Lease) -> None:
        """Give an unfinished job back, so that it is leased again at once."""
        await self._write(lease, "release", {})

    async def _write(
        self, lease: Lease, verb: str, body: Mapping[str, Any], *, timeout_s: float = WRITE_TIMEOUT_S
    ) -> dict[str, Any] | None:
        path = f"{self._path}/{lease.key}:{verb}"
        return await self._post(path, {"epoch": lease.epoch, **body}, timeout_s=timeout_s)

    async def _post(
        self, path: str, body: dict[str, Any], *, timeout_s: float = WRITE_TIMEOUT_S
    ) -> dict[str, Any] | None:
        status, answer = await self._peer.request("POST", path, json=body, timeout_s=timeout_s)
        if status in (404, 409):
            raise LeaseLostError(path)
        if status >= 400:
            why = f"The {self._peer.service} service refused {path}: {status} {(answer or {}).get('code', '')}."
            # Credentials can be mended while we wait; what we say cannot.
            raise UnavailableError(why) if status in (401, 403) else RefusedError(why)
        return answer


async def persist(
    call: Callable[[], Awaitable[T]], *, within_s: float, what: str, longest_pause_s: float = RETRY_DELAYS_S[-1]
) -> T:
    """Repeat `call` while it raises UnavailableError, with growing pauses.

    Raises RefusedError at once and NoContactError after `within_s`.
    """
    loop = asyncio.get_running_loop()
    begun, attempt = loop.time(), 0
    while True:
        try:
            return await call()
        except RefusedError:
            raise
        except UnavailableError as error:
            if loop.time() - begun > within_s:
                raise NoContactError(what) from error
            log.warning("worker.retrying", what=what, why=error.message)
            await asyncio.sleep(min(longest_pause_s, RETRY_DELAYS_S[min(attempt, len(RETRY_DELAYS_S) - 1)]))
            attempt += 1
