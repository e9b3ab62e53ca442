"""A part of the stack: its end is told in one line that names it, and nothing it started stays behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from slm_local import guard, shim
from slm_local.errors import PartError
from slm_local.process import Process
from slm_testing.waiting import eventually

STUBBORN = (
    "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
)
WITH_CHILD = "import subprocess, sys; c = subprocess.Popen(['sleep', '60']); print(c.pid, flush=True); c.wait()"


async def never() -> bool:
    return False


async def started(code: str, log_path: Path) -> Process:
    return await Process.start("registry", (sys.executable, "-c", code), log_path=log_path)


async def logged(process: Process) -> str:
    """What it wrote, once it wrote a line."""

    async def line() -> str:
        return process.log_tail()

    return await eventually(line)


async def test_a_part_that_ends_while_starting_is_named_with_its_log(tmp_path: Path) -> None:
    process = await started("import sys; sys.exit(3)", tmp_path / "registry.log")
    with pytest.raises(PartError) as caught:
        await process.wait_ready(never)
    await process.stop()
    assert str(caught.value) == f"registry ended with exit code 3; the log says why (log: {tmp_path}/registry.log)"


async def test_a_full_disk_is_recognised(tmp_path: Path) -> None:
    process = await started("raise OSError(28, 'No space left on device')", tmp_path / "registry.log")
    with pytest.raises(PartError, match="the disk is full"):
        await process.wait_ready(never)
    await process.stop()


async def test_a_part_that_is_never_ready_is_named(tmp_path: Path) -> None:
    process = await started(STUBBORN, tmp_path / "registry.log")
    with pytest.raises(PartError, match="registry was not ready within 0 s"):
        await process.wait_ready(never, timeout_s=0.1)
    await process.stop(grace_s=0)


async def test_a_part_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    process = await started(STUBBORN, tmp_path / "registry.log")
    await logged(process)
    await process.stop(grace_s=0.1)
    assert process.exit_code == -signal.SIGKILL
    assert str(process.death()).startswith("registry was ended by SIGKILL")


async def test_what_a_part_started_ends_with_it(tmp_path: Path) -> None:
    process = await started(WITH_CHILD, tmp_path / "registry.log")
    child = psutil.Process(int(await logged(process)))
    await process.stop()

    async def gone() -> bool:
        return not child.is_running() or child.status() == psutil.STATUS_ZOMBIE

    await eventually(gone)


def test_the_guard_kills_what_is_left_when_its_pipe_closes() -> None:
    left = subprocess.Popen(["sleep", "60"], start_new_session=True)
    forgotten = subprocess.Popen(["sleep", "60"], start_new_session=True)
    lines = f"+{left.pid}\n+{forgotten.pid}\n-{forgotten.pid}\n"
    subprocess.run([sys.executable, "-I", "-S", guard.__file__], input=lines.encode(), check=True, timeout=10)
    assert left.wait(10) == -signal.SIGKILL
    assert forgotten.poll() is None
    forgotten.kill()
    forgotten.wait()


def test_the_shim_becomes_nothing_when_the_parent_is_already_gone() -> None:
    command = [sys.executable, "-I", "-S", shim.__file__, "1", str(int(signal.SIGKILL)), "-", "/bin/true"]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user to step down to")
async def test_root_steps_down_in_a_folder_that_only_root_may_enter(tmp_path: Path) -> None:
    owned = tmp_path / "owned"
    owned.mkdir()
    code = f"import os; open({str(owned / 'file')!r}, 'w').close(); print(os.geteuid() != 0)"
    process = await Process.start(
        "postgres", (sys.executable, "-c", code), log_path=tmp_path / "postgres.log", unprivileged_folder=owned
    )
    assert await process.wait() == 0
    await process.stop()
    assert process.log_tail() == "True\n"
