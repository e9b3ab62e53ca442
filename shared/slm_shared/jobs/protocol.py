"""What a worker and the service that owns its work say to each other. Both ends import these models.

All requests are `POST`, below a path such as `/api/leases`; `routes` answers them and `client` sends them:

| request | body | answer |
|---|---|---|
| `PATH:claim` | `Claim` | 200 and a `Grant`, or 204 when there is no work |
| `PATH:forget` | `Forget` | 204 |
| `PATH/ID:start` | `Fenced` | 204 |
| `PATH/ID:heartbeat` | `Heartbeat` | 200 and a `HeartbeatAnswer` |
| `PATH/ID:complete` | the service's own subclass of `Fenced` | 204 |
| `PATH/ID:fail` | `FailureReport` | 204 |
| `PATH/ID:release` | `Fenced` | 204 |

Status 404 and 409 mean that the lease is lost. A service subclasses `Claim` for what its workers can do, `Grant` for
what they need to know, and `Fenced` for every other report. Workers of an earlier version keep working while a service
is updated: requests only ever gain optional fields, and a worker ignores fields of an answer that it does not know.
"""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=120)]
Blame = Literal["user", "system", "infra"]

MAX_CODE_CHARACTERS = 80
MAX_MESSAGE_CHARACTERS = 2000


class Request(BaseModel):
    """Root of what workers send: unknown fields and non-finite numbers are refused, text is stripped.

    The same rules as `slm_shared.http.requests.Body`; workers must not have to import a web framework for them.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_strip_whitespace=True, protected_namespaces=())


class Answer(BaseModel):
    """Root of what workers receive: a newer service may say more than they know."""

    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())


class Claim(Request):
    """A worker asks for work. The same `claim_id` always gets the same answer, so a lost answer costs nothing."""

    pool: Name = "default"
    worker: Name
    claim_id: UUID


class Grant(Answer):
    """A lease: work that belongs to the worker until `lease_ttl_s` after its last heartbeat.

    `epoch` counts the leases of this work and is the fencing token of all its reports; `attempt` counts those that did
    not end by themselves. A heartbeat is due every `heartbeat_s`. `traceparent` is the trace that the work belongs to.
    """

    epoch: int
    attempt: int
    lease_ttl_s: float = 90.0
    heartbeat_s: float = 5.0
    traceparent: str | None = None

    id_field: ClassVar[str]
    """Which field of a service's own grant has the id of the work, as in its routes."""


class Forget(Request):
    """A worker has restarted and holds nothing any more."""

    worker: Name


class Fenced(Request):
    """Every report of a worker carries the epoch of its lease; one with an older epoch is refused."""

    epoch: Annotated[int, Field(strict=True, ge=1)]


class Heartbeat(Fenced):
    """The worker lives. It has done `step` steps (of training) or rows (of evaluation), of `total` if that is known."""

    step: Annotated[int, Field(strict=True, ge=0)] = 0
    total: Annotated[int, Field(strict=True, ge=1)] | None = None


class HeartbeatAnswer(Answer):
    """What the worker should do: `cancel` means stop now, `drain` means stop where another attempt can go on."""

    cancel: bool = False
    drain: bool = False


class Failure(Request):
    """How an attempt ended without a result.

    `blame` is `user` (their data or settings; never tried again), `system` (ours) or `infra` (something under us).
    `retry` says whether another attempt may end better; `log_tail` is the last that the child process wrote.
    """

    code: Annotated[str, Field(min_length=1, max_length=MAX_CODE_CHARACTERS)]
    message: Annotated[str, Field(max_length=MAX_MESSAGE_CHARACTERS)]
    blame: Blame
    retry: bool = False
    log_tail: Annotated[str, Field(max_length=100_000)] = ""


class FailureReport(Fenced, Failure):
    """The failure of an attempt, under its lease."""
