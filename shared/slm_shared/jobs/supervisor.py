"""What every supervisor of a child process does: listen to it, notice that it hangs or is dead, and reach the store.

A message of a child is `{"kind": ..., ...}`; one of kind `error` has `code`, `message`, `blame` and perhaps `retry`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from slm_shared.jobs.child import Child
from slm_shared.jobs.client import JobFailedError, NoContactError, persist
from slm_shared.jobs.protocol import Blame, Fenced
from slm_shared.storage import manifest
from slm_shared.storage.manifest import ArtifactMismatchError, Manifest
from slm_shared.storage.objects import ObjectMissingError, ObjectStore

T = TypeVar("T")
F = TypeVar("F", bound=Fenced)


def report_of(kind: type[F], fields: Mapping[str, Any]) -> F:
    """What a child found, as the report that the service takes. Raises JobFailedError for what it would refuse."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise JobFailedError("report_refused", "The worker's report was not accepted.", blame="system") from error


@dataclass(frozen=True)
class Watch:
    """How a child is watched. One that says nothing for `stall_timeout_s` counts as hanging.

    Errors call what it does `work`, such as "training"; `memory_hint` says what to do when it ran out of memory, and
    `memory_blame` whose fault that is.
    """

    work: str
    stall_timeout_s: float
    memory_hint: str = ""
    memory_blame: Blame = "infra"


async def hear(child: Child, watch: Watch) -> dict[str, Any]:
    """The next message of a child. Raises JobFailedError when it hangs, is dead, or reports an error."""
    try:
        async with asyncio.timeout(watch.stall_timeout_s):
            message = await child.receive()
    except TimeoutError as error:
        why = f"The {watch.work} made no progress for {watch.stall_timeout_s / 60:.0f} minutes and was stopped."
        raise JobFailedError("stalled", why, blame="infra", retry=True, log_tail=child.log_tail()) from error
    if message is None:
        raise await _death(child, watch)
    if message["kind"] == "error":
        raise _reported(message, child)
    return message


async def _death(child: Child, watch: Watch) -> JobFailedError:
    exit_code = await child.wait()
    tail = child.log_tail()
    if child.ran_out_of_memory:
        why = f"The machine ran out of memory and killed the {watch.work}. {watch.memory_hint}".rstrip()
        return JobFailedError("out_of_memory", why, blame=watch.memory_blame, retry=True, log_tail=tail)
    how = f"was ended by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code} and no result"
    return JobFailedError("child_died", f"The {watch.work} process {how}.", blame="infra", retry=True, log_tail=tail)


def _reported(message: dict[str, Any], child: Child) -> JobFailedError:
    blame: Blame = message["blame"]
    # The message tells a user all that they can correct; a stack trace would only hide it.
    tail = "" if blame == "user" else child.log_tail()
    retry = message.get("retry", blame != "user")
    return JobFailedError(message["code"], message["message"], blame=blame, retry=retry, log_tail=tail)


class Transfers:
    """A supervisor's use of the object store. A store that does not answer is asked again for `within_s`.

    Then, and when what is there is not what was announced, JobFailedError is raised.
    """

    def __init__(self, store: ObjectStore, *, within_s: float) -> None:
        self._store = store
        self._within_s = within_s

    async def fetch(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat `call`, which fetches the inputs of a job, until it succeeds."""
        try:
            return await self.persist(call, what="inputs")
        except (ArtifactMismatchError, ObjectMissingError) as error:
            raise JobFailedError("input_damaged", error.message, blame="system") from error

    async def upload(self, folder: Path, prefix: str) -> Manifest:
        """Store a folder, its manifest last, and read everything back: nothing is announced that cannot be read."""
        stored = await self.persist(lambda: manifest.upload(self._store, folder, prefix), what="upload")
        try:
            return await self.persist(lambda: manifest.verify(self._store, prefix, stored.sha256), what="read back")
        except ArtifactMismatchError as error:
            raise JobFailedError("artifact_mismatch", error.message, blame="infra", retry=True) from error

    async def persist(self, call: Callable[[], Awaitable[T]], *, what: str) -> T:
        """Repeat `call` while the store does not answer."""
        try:
            return await persist(call, within_s=self._within_s, what=what)
        except NoContactError as error:
            why = "The object store could not be reached."
            raise JobFailedError("storage_unavailable", why, blame="infra", retry=True) from error
