"""The worker's side of leased work: claim, heartbeat, then complete, fail or release, over the owner's REST.

Every write carries the epoch of the lease. The service's answers decide: a lost lease ends the work at once, a service
that does not answer does not.
"""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import cached_property
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog

from slm_shared.errors import UnavailableError
from slm_shared.jobs.protocol import (
    MAX_CODE_CHARACTERS,
    MAX_MESSAGE_CHARACTERS,
    Blame,
    Claim,
    FailureReport,
    Fenced,
    Forget,
    Grant,
    Heartbeat,
    HeartbeatAnswer,
    Request,
)
from slm_shared.peers import Peer
from slm_shared.storage.ids import new_id

log = structlog.get_logger()

RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 5.0)
WRITE_TIMEOUT_S = 5.0
COMPLETE_TIMEOUT_S = 120.0

T = TypeVar("T")
G = TypeVar("G", bound=Grant)


class LeaseLostError(Exception):
    """Somebody else holds the work now, or nobody may: stop, and write nothing more."""


class NoContactError(Exception):
    """The service did not answer for as long as the worker may go on without it."""


class RefusedError(UnavailableError):
    """The service refuses this request and always will: do not repeat it."""


class JobFailedError(Exception):
    """The work ended without a result; the arguments are those of `protocol.Failure`."""

    def __init__(self, code: str, message: str, *, blame: Blame, retry: bool = False, log_tail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.blame = blame
        self.retry = retry
        self.log_tail = log_tail

    def report(self, epoch: int) -> FailureReport:
        """The failure as a service takes it, whatever a library may have put into the texts."""
        # JSON bodies of the platform hold no NUL.
        message, tail = (text.replace("\0", "") for text in (self.message, self.log_tail))
        return FailureReport(
            epoch=epoch,
            code=self.code[:MAX_CODE_CHARACTERS],
            message=message[:MAX_MESSAGE_CHARACTERS],
            blame=self.blame,
            retry=self.retry,
            log_tail=tail,
        )


class Stop(StrEnum):
    """Why a job that runs well has to end."""

    CANCELLED = "cancelled"
    DRAINED = "drained"
    LOST = "lost"
    NO_CONTACT = "no_contact"


class Lease(Generic[G]):
    """One granted lease.

    `step` is how far the work got of `total` if that is known (both told with each heartbeat), `started` is set once
    the service knows that the work has begun.
    """

    def __init__(self, answer: dict[str, Any], kind: type[G]) -> None:
        self._answer = answer
        self._kind = kind
        terms = Grant.model_validate(answer)
        self.key = str(answer[kind.id_field])
        self.epoch = terms.epoch
        self.heartbeat_s = terms.heartbeat_s
        self.lease_ttl_s = terms.lease_ttl_s
        self.traceparent = terms.traceparent
        self.step = 0
        self.total: int | None = None
        self.started = asyncio.Event()

    @cached_property
    def grant(self) -> G:
        """What the service granted. Raises pydantic's ValidationError for work that this worker does not understand.

        Only read where that ends the job: a claim that raised would end the worker, and every other worker after it.
        """
        return self._kind.model_validate(self._answer)


class LeaseClient(Generic[G]):
    """The worker's end of `protocol`: the lease routes of one service, e.g. below `/api/leases`.

    Every method raises UnavailableError when the service does not answer; those that write for a lease raise
    LeaseLostError when it is not held any more. Grants are of the type `grant`; claims are of the type `claim`, with
    `claim_facts` in them once the worker knows them.
    """

    def __init__(
        self, peer: Peer, *, path: str, grant: type[G], worker: str, pool: str, claim: type[Claim] = Claim
    ) -> None:
        self._peer = peer
        self._path = path
        self._grant = grant
        self._worker = worker
        self._pool = pool
        self._claim = claim
        self._claim_id: UUID | None = None
        self.claim_facts: dict[str, Any] = {}

    async def forget(self) -> None:
        """Have the service take back whatever a previous process of this worker held."""
        await self._post(f"{self._path}:forget", Forget(worker=self._worker))

    async def claim(self) -> Lease[G] | None:
        """The next job, or None. A reply that was lost is asked for again under the same claim id."""
        self._claim_id = self._claim_id or new_id()
        mine = {"pool": self._pool, "worker": self._worker, "claim_id": self._claim_id}
        answer = await self._post(f"{self._path}:claim", self._claim.model_validate(mine | self.claim_facts))
        self._claim_id = None
        return Lease(answer, self._grant) if answer else None

    async def start(self, lease: Lease[G]) -> None:
        """Announce that the work has begun."""
        await self.tell(lease, "start", Fenced(epoch=lease.epoch))

    async def heartbeat(self, lease: Lease[G]) -> Stop | None:
        """Keep the lease; the answer may ask to stop."""
        total = {} if lease.total is None else {"total": lease.total}
        answer = await self.tell(lease, "heartbeat", Heartbeat(epoch=lease.epoch, step=lease.step, **total))
        asked = HeartbeatAnswer.model_validate(answer or {})
        if asked.cancel:
            return Stop.CANCELLED
        return Stop.DRAINED if asked.drain else None

    async def complete(self, lease: Lease[G], completion: Fenced) -> None:
        """Report the result; the service may read everything back before it answers."""
        await self.tell(lease, "complete", completion, timeout_s=COMPLETE_TIMEOUT_S)

    async def fail(self, lease: Lease[G], error: JobFailedError) -> None:
        """Report that the job ended without a result."""
        await self.tell(lease, "fail", error.report(lease.epoch))

    async def release(self, lease: Lease[G]) -> None:
        """Give an unfinished job back, so that it is leased again at once."""
        await self.tell(lease, "release", Fenced(epoch=lease.epoch))

    async def tell(
        self, lease: Lease[G], verb: str, report: Fenced, *, timeout_s: float = WRITE_TIMEOUT_S
    ) -> dict[str, Any] | None:
        """Send any report under a lease, also one that only this service knows; its answer."""
        return await self._post(f"{self._path}/{lease.key}:{verb}", report, timeout_s=timeout_s)

    async def _post(self, path: str, request: Request, *, timeout_s: float = WRITE_TIMEOUT_S) -> dict[str, Any] | None:
        # Only what was set: a service that is older than this worker refuses fields that it does not know.
        body = request.model_dump(mode="json", exclude_unset=True)
        status, answer = await self._peer.request("POST", path, json=body, timeout_s=timeout_s)
        if status in (404, 409):
            raise LeaseLostError(path)
        if status >= 400:
            why = f"The {self._peer.service} service refused {path}: {status} {(answer or {}).get('code', '')}."
            # Somebody may correct the credentials while we wait; the request itself stays wrong.
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
