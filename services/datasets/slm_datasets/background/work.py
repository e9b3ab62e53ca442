"""The loop of a work queue: claim by lease, serve, wait; and the child process that does the work."""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog

from slm_datasets.settings import DatasetsSettings
from slm_shared.background import is_wanted
from slm_shared.errors import UnavailableError
from slm_shared.jobs.child import Child, clean_environment

log = structlog.get_logger()

T = TypeVar("T")
# What the allocator keeps back for speed would count as memory of the child.
QUIET_ALLOCATOR = {"MALLOC_ARENA_MAX": "2", "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"}
# Libraries that would ask the network for newer lists than they bring along; the child has none to ask.
OFFLINE = {"HF_HUB_OFFLINE": "1", "TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS": ""}

LEAST_BYTES_PER_S = 5_000_000
"""What a child has to get through on a slow machine; big files get the more time."""


class ProcessingError(Exception):
    """The child ended without an answer, or took too long."""


class WorkLoop(Generic[T]):
    """Serves what `claim` grants, until it is cancelled: at once when it is woken, else every few seconds."""

    def __init__(
        self, claim: Callable[[], Awaitable[T | None]], serve: Callable[[T], Awaitable[None]], *, poll_s: float
    ) -> None:
        self._claim, self._serve, self._poll_s = claim, serve, poll_s
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """Look at once."""
        self._awake.set()

    async def run(self, *, workers: int) -> None:
        """Serve side by side."""
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while is_wanted():
            try:
                work = await self._claim()
                if work is not None:
                    await self._serve(work)
                else:
                    await self._wait()
            except UnavailableError as error:
                log.warning("processing.unavailable", why=error.message)
                await asyncio.sleep(self._poll_s)

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._poll_s):
                await self._awake.wait()
        self._awake.clear()


async def holding(renew: Callable[[], Awaitable[Any]], *, every_s: float) -> None:
    """Renew a lease until cancelled; an outage of the database is ridden out, the fence decides in the end."""
    while True:
        await asyncio.sleep(every_s)
        with contextlib.suppress(UnavailableError):
            await renew()


async def run_child(
    job: dict[str, Any],
    folder: Path,
    settings: DatasetsSettings,
    *,
    on_progress: Callable[[dict[str, Any]], Awaitable[None]],
    module: str,
) -> dict[str, Any]:
    """Let a child do one job and return its answer, of the kind `result` or `problem`.

    Raises ProcessingError when it gives none.
    """
    argv = (sys.executable, "-m", module)
    environment = clean_environment(TMPDIR=str(folder), TLDEXTRACT_CACHE=str(folder), **OFFLINE, **QUIET_ALLOCATOR)
    child = await Child.start(argv, env=environment, log_path=folder / "child.log")
    size_bytes = (await asyncio.to_thread(Path(job["source"]).stat)).st_size
    timeout_s = settings.processing_timeout_s + size_bytes / LEAST_BYTES_PER_S
    limits = {"timeout_s": timeout_s, "memory_bytes": settings.processing_memory_bytes}
    try:
        await child.send({**job, **limits})
        async with asyncio.timeout(timeout_s):
            answer = await _answer(child, on_progress)
    except TimeoutError:
        raise ProcessingError("Processing took too long and was stopped.") from None
    finally:
        code = await child.stop(grace_s=0.5)
    if answer is None:
        log.error("processing.child_died", code=code, tail=child.log_tail())
        raise ProcessingError("The process that read the file ended without an answer.")
    return answer


async def _answer(child: Child, on_progress: Callable[[dict[str, Any]], Awaitable[None]]) -> dict[str, Any] | None:
    async for message in child.messages():
        if message["kind"] != "progress":
            storable: dict[str, Any] = without_nul(message)
            return storable
        with contextlib.suppress(UnavailableError):
            await on_progress(message["progress"])
    return None


def without_nul(value: Any) -> Any:
    """The same JSON with U+FFFD for U+0000, which PostgreSQL's JSON cannot hold."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {without_nul(key): without_nul(each) for key, each in value.items()}
    return [without_nul(each) for each in value] if isinstance(value, list) else value
