"""The whole platform as its launcher starts it, in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from slm_local.record import StackRecord, read_record

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0


class LaunchedStack:
    """A stack on free ports with its data in `folder`; may be started again after it ended.

    `variables` are added to the environment of its processes.
    """

    def __init__(self, folder: Path, *, variables: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._variables = variables or {}
        self._log = folder.with_name(f"{folder.name}.log")
        self._launcher: subprocess.Popen[bytes] | None = None
        self._record: StackRecord | None = None

    @property
    def record(self) -> StackRecord:
        """What the running stack says about itself."""
        assert self._record is not None
        return self._record

    def start(self) -> None:
        """Start it and wait until it is ready. Raises AssertionError with the launcher's words when it ends first."""
        command = [sys.executable, "-m", "slm_local", "--data-dir", str(self.folder), "--free-ports", "up"]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLM_")}
        environment = {**inherited, **self._variables}
        with self._log.open("wb") as log:
            self._launcher = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        self._record = self._wait_until_ready(self._launcher)

    def _wait_until_ready(self, launcher: "subprocess.Popen[bytes]") -> StackRecord:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            record = read_record(self.folder)
            if record is not None and record.ready and record.launcher_pid == launcher.pid:
                return record
            try:
                launcher.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            break
        raise AssertionError(f"the stack did not start:\n{self.words()}")

    def words(self) -> str:
        """Everything the launcher has said since its start."""
        return self._log.read_text()

    def kill_part(self, name: str) -> int:
        """`kill -9` one part and wait for the launcher, which does not go on without it; its exit code."""
        pid = next(part.pid for part in self.record.parts if part.name == name)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        return self._ended()

    def kill_everything(self) -> None:
        """`kill -9` the launcher; the kernel ends everything below it."""
        assert self._launcher is not None
        self._launcher.kill()
        self._ended()

    def stop(self) -> None:
        """Ctrl-C, if it runs."""
        if self._launcher is not None and self._launcher.poll() is None:
            self._launcher.send_signal(signal.SIGINT)
            self._ended()

    def _ended(self) -> int:
        assert self._launcher is not None
        try:
            return self._launcher.wait(STOP_TIMEOUT_S)
        finally:
            self._launcher.kill()
