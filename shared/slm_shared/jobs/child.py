"""Both ends of a child process that computes: the supervisor's `Child` and the child's `Parent`.

The supervisor does all input and output; the child has no credentials, its own process group, and dies with its parent.
They speak JSON lines over the child's standard input and output; what libraries print goes to a log file.
"""

import asyncio
import contextlib
import ctypes
import io
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from slm_shared.jobs.oom import OomKills

log = structlog.get_logger()

# Before the name of the module that a child is.
RUN_MODULE = (sys.executable, "-m", "slm_shared.jobs.run_module")
# A line may carry a whole report; asyncio's own limit is 64 KiB.
LINE_LIMIT_BYTES = 16 * 1024 * 1024
LOG_TAIL_BYTES = 16 * 1024
LOG_TAIL_LINES = 40
EXIT_ORPHANED = 71
READ_BYTES = 64 * 1024
PR_SET_PDEATHSIG = 1

# Nothing else of the supervisor's environment reaches a child: every credential of the platform travels there.
INHERITED_VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "HF_HUB_OFFLINE",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "PATH",
    "PYTHONPATH",
    "SLM_CODE_VERSION",
    "SLM_TRAINER_PRECISION",
    "SYSTEMROOT",
    "TMPDIR",
    "TZ",
    "VIRTUAL_ENV",
)


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment of a child: an allow-list of the supervisor's own, and what is given here.

    OpenMP threads are told to sleep, not to spin, while they wait for each other. Beside another busy process the
    spinning ones take each other's cores: training was measured at 570 tokens/s that way, and at 9,900 with this.
    """
    kept = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    return {"OMP_WAIT_POLICY": "passive", "PYTHONHASHSEED": "0", **kept, **extra}


def model_environment(folder: Path, **extra: str) -> dict[str, str]:
    """The environment of a child that loads models: libraries write below `folder` and fetch nothing from a hub.

    Everything a job needs lies in its own folder; nothing is fetched behind the platform's back.
    """
    return clean_environment(
        HF_HUB_OFFLINE=os.environ.get("HF_HUB_OFFLINE", "1"),
        HF_HUB_DISABLE_TELEMETRY="1",
        HF_HOME=str(folder / "huggingface"),
        HOME=str(folder),
        TOKENIZERS_PARALLELISM="true",
        **extra,
    )


class Child:
    """A running child process, as its supervisor sees it."""

    def __init__(self, process: asyncio.subprocess.Process, log_path: Path) -> None:
        self._process = process
        self._oom_kills = OomKills()
        self.log_path = log_path

    @classmethod
    async def start(cls, argv: Sequence[str], *, env: Mapping[str, str], log_path: Path) -> "Child":
        """Start `argv` in a process group of its own, its standard error going to `log_path`."""
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=dict(env),
                start_new_session=True,
                limit=LINE_LIMIT_BYTES,
            )
        return cls(process, log_path)

    @property
    def pid(self) -> int:
        """Process id, which is also the id of the process group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that killed it."""
        return self._process.returncode

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether it was killed, and the kernel has killed something here for want of memory since it was started."""
        return self.exit_code == -signal.SIGKILL and self._oom_kills.happened()

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send one JSON line; a child that is gone is found out by `messages` ending, not here."""
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            await self._process.stdin.drain()

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """Every JSON object the child sends, until it closes its output. May be left and taken up again."""
        while (message := await self.receive()) is not None:
            yield message

    async def receive(self) -> dict[str, Any] | None:
        """The next JSON object the child sends, or None after the last."""
        assert self._process.stdout is not None
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:
                log.warning("child.line_too_long", pid=self.pid)
                continue
            if not line:
                return None
            try:
                message = json.loads(line)
            except ValueError:
                message = None
            if isinstance(message, dict):
                return message
            log.warning("child.not_json", pid=self.pid)

    async def wait(self) -> int:
        """Wait for its end and return the exit code."""
        return await self._process.wait()

    async def stop(self, *, grace_s: float) -> int:
        """SIGTERM to the whole group, SIGKILL after `grace_s`; returns the exit code. Safe to call twice."""
        if self._process.returncode is None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._process.wait()
        # Also when the leader is gone: its own children may have outlived it.
        self._signal(signal.SIGKILL)
        return await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def log_tail(self) -> str:
        """The last lines the child or its libraries wrote to standard error."""
        try:
            with self.log_path.open("rb") as stream:
                stream.seek(max(0, self.log_path.stat().st_size - LOG_TAIL_BYTES))
                text = stream.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-LOG_TAIL_LINES:])


class Parent:
    """The supervisor, as its child sees it. Make one first of all, before the slow imports."""

    def __init__(self) -> None:
        die_with_parent()
        # The libraries may print; only this object writes to what was standard output.
        self._output = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)
        self._lock = threading.Lock()
        self._inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._listen, name="parent", daemon=True).start()

    def _listen(self) -> None:
        # Not through sys.stdin: its buffer is locked while we wait, and the interpreter could not end.
        rest = b""
        while chunk := os.read(0, READ_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._inbox.put(json.loads(line))
        # Its end closed: the supervisor is gone or wants us gone, in the middle of whatever we do.
        os._exit(EXIT_ORPHANED)

    def receive(self) -> dict[str, Any]:
        """Wait for the next message."""
        return self._inbox.get()

    def has_message(self) -> bool:
        """Whether a message has arrived that nobody has received yet."""
        return not self._inbox.empty()

    def send(self, kind: str, **fields: Any) -> None:
        """Send one message; numbers must be finite."""
        line = json.dumps({"kind": kind, **fields}, ensure_ascii=False, allow_nan=False, default=str)
        try:
            with self._lock:
                self._output.write(line + "\n")
                self._output.flush()
        except BrokenPipeError:
            os._exit(EXIT_ORPHANED)


def die_with_parent() -> None:
    """On Linux, be killed when the parent ends however it ends; elsewhere the end of standard input has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
