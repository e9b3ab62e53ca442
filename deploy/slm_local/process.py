"""A child process of the stack: own log file, readiness by probe, dies with the launcher."""

import asyncio
import contextlib
import io
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from slm_local import guard, shim
from slm_local.errors import PartError

PROBE_INTERVAL_S = 0.02
READY_TIMEOUT_S = 60.0
MAX_LOG_BYTES = 20 * 1024 * 1024
LOG_TAIL_BYTES = 64 * 1024
DISK_FULL = "No space left on device"

Probe = Callable[[], Awaitable[bool]]


class Gate:
    """Holds processes of `slm_local.gate` back until it is opened; they import one after the other. See there."""

    def __init__(self, lock: Path) -> None:
        self.lock = lock
        self.fd, self._other_end = os.pipe()
        self._is_open = False

    def open(self) -> None:
        """Let them run. May be called twice."""
        if not self._is_open:
            self._is_open = True
            os.close(self._other_end)
            os.close(self.fd)


class Process:
    """A running part of the stack."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log_path: Path, stop_signal: int) -> None:
        self.name = name
        self.log_path = log_path
        self._process = process
        self._stop_signal = stop_signal
        self._ended = asyncio.ensure_future(process.wait())

    @classmethod
    async def start(
        cls,
        name: str,
        argv: Sequence[str],
        *,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        stop_signal: int = signal.SIGTERM,
        orphan_signal: int = signal.SIGKILL,
        unprivileged_folder: Path | None = None,
        gate: Gate | None = None,
    ) -> "Process":
        """Start `argv` with `env` added to our environment.

        `orphan_signal` is what it gets when this process is killed. With `unprivileged_folder` it never runs as root
        and owns that folder. `gate` is open to it.
        """
        owned = str(unprivileged_folder) if unprivileged_folder else "-"
        front = (sys.executable, "-I", "-S", shim.__file__, str(os.getpid()), str(int(orphan_signal)), owned)
        with _open_log(log_path) as log:
            process = await asyncio.create_subprocess_exec(
                *front,
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                pass_fds=() if gate is None else (gate.fd,),
            )
        guard.watch(process.pid)
        return cls(name, process, log_path, stop_signal)

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its process group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._process.returncode

    def on_end(self, call: Callable[["Process"], None]) -> None:
        """Have `call` called when it has ended."""
        self._ended.add_done_callback(lambda _: call(self))

    async def wait(self) -> int:
        """Wait for its end; the exit code."""
        # Whoever stops waiting must not cancel the one task that learns of the end.
        return await asyncio.shield(self._ended)

    async def wait_ready(self, probe: Probe, *, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Return once `probe` is true. Raises PartError when the process ends first or the time is over."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not await probe():
            await asyncio.wait({self._ended}, timeout=PROBE_INTERVAL_S)
            if self._ended.done():
                raise self.death()
            if asyncio.get_running_loop().time() > deadline:
                raise PartError(self.name, f"was not ready within {timeout_s:.0f} s", log_path=self.log_path)

    async def wait_ready_or_stop(self, probe: Probe, *, grace_s: float = 5.0) -> None:
        """As `wait_ready`, for a process that nobody else knows yet: one that does not become ready is stopped."""
        try:
            await self.wait_ready(probe)
        except BaseException:
            await self.stop(grace_s=grace_s)
            raise

    def death(self) -> PartError:
        """The error that says how this process, which should be running, ended."""
        if self.exit_code is not None and self.exit_code < 0:
            end = f"was ended by {signal.Signals(-self.exit_code).name}"
        else:
            end = f"ended with exit code {self.exit_code}"
        hint = "the disk is full: free some space and start again" if DISK_FULL in self.log_tail() else None
        return PartError(self.name, end, log_path=self.log_path, hint=hint)

    def log_tail(self) -> str:
        """The end of its log."""
        with self.log_path.open("rb") as stream:
            stream.seek(max(0, self.log_path.stat().st_size - LOG_TAIL_BYTES))
            return stream.read().decode(errors="replace")

    async def stop(self, *, grace_s: float = 5.0) -> None:
        """Ask it to end, kill it and what it left in its process group after `grace_s`. Safe to call twice."""
        if self.exit_code is None:
            self._signal(self._stop_signal)
            await asyncio.wait({self._ended}, timeout=grace_s)
        self._signal(signal.SIGKILL)
        await self._ended
        guard.forget(self.pid)

    def _signal(self, number: int) -> None:
        # On macOS the group of a leader that ended answers with a refusal.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def _open_log(path: Path) -> io.FileIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab", buffering=0)
