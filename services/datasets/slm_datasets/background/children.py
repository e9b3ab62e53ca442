"""Running one child process for one task, and what comes back from it."""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog
from pydantic import BaseModel

from slm_datasets.schemas import Problem, ProblemLog, Progress
from slm_datasets.settings import DatasetsSettings
from slm_shared.errors import UnavailableError
from slm_shared.jobs.child import Child, clean_environment
from slm_shared.jobs.client import JobFailedError
from slm_shared.jobs.supervisor import Watch, hear

log = structlog.get_logger()

# What the allocator keeps back for speed would count as memory of the child.
QUIET_ALLOCATOR = {"MALLOC_ARENA_MAX": "2", "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"}
# Libraries that would ask the network for newer lists than they bring along; the child has none to ask.
OFFLINE = {"HF_HUB_OFFLINE": "1", "TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS": ""}

LEAST_BYTES_PER_S = 5_000_000
"""The least speed that a child must reach on a slow machine: big files get more time."""

OnProgress = Callable[[Progress], Awaitable[None]]


class TaskFailedError(Exception):
    """A task ended without a result. With `retry` another try may help; else `problems` lists what the data has."""

    def __init__(self, problem: Problem, *, problems: ProblemLog | None = None, retry: bool = False) -> None:
        super().__init__(problem.message)
        self.problem, self.problems, self.retry = problem, problems, retry


class _Message(BaseModel):
    """What a child sends: `progress` any number of times, then a `result` or a `problem`."""

    progress: Progress | None = None
    result: dict[str, Any] | None = None
    problem: Problem | None = None
    problems: ProblemLog | None = None


async def run_child(
    module: str, task: dict[str, Any], folder: Path, settings: DatasetsSettings, *, on_progress: OnProgress
) -> dict[str, Any]:
    """Let a child process do one task; the result that it sends.

    Raises TaskFailedError for data with problems, and for a child that dies or takes too long.
    """
    argv = (sys.executable, "-m", module)
    environment = clean_environment(TMPDIR=str(folder), TLDEXTRACT_CACHE=str(folder), **OFFLINE, **QUIET_ALLOCATOR)
    child = await Child.start(argv, env=environment, log_path=folder / "child.log")
    size_bytes = (await asyncio.to_thread(Path(task["source"]).stat)).st_size
    timeout_s = settings.processing_timeout_s + size_bytes / LEAST_BYTES_PER_S
    limits = {"timeout_s": timeout_s, "memory_bytes": settings.processing_memory_bytes}
    # Polars is silent while it writes a big file: the limit for all of the work is also the one for each silence.
    watch = Watch("task", stall_timeout_s=timeout_s)
    try:
        await child.send({**task, **limits})
        async with asyncio.timeout(timeout_s):
            return await _result(child, watch, on_progress)
    except TimeoutError:
        raise _unfinished("processing_failed", "Processing took too long and was stopped.") from None
    except JobFailedError as error:
        log.error("processing.child_failed", code=error.code, tail=error.log_tail)
        code = error.code if error.code == "out_of_memory" else "processing_failed"
        raise _unfinished(code, error.message) from error
    finally:
        await child.stop(grace_s=0.5)


def _unfinished(code: str, message: str) -> TaskFailedError:
    hint = "Upload it in smaller files, or in another format."
    return TaskFailedError(Problem(code=code, message=message, hint=hint), retry=True)


async def _result(child: Child, watch: Watch, on_progress: OnProgress) -> dict[str, Any]:
    while True:
        message = _Message.model_validate(without_nul(await hear(child, watch)))
        if message.problem is not None:
            raise TaskFailedError(message.problem, problems=message.problems)
        if message.progress is None:
            return message.result or {}
        # Progress is for people: an outage of the database must not end an hour of work.
        with contextlib.suppress(UnavailableError):
            await on_progress(message.progress)


def without_nul(value: Any) -> Any:
    """The same JSON with U+FFFD for U+0000, which PostgreSQL's JSON cannot hold."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {without_nul(key): without_nul(each) for key, each in value.items()}
    return [without_nul(each) for each in value] if isinstance(value, list) else value
