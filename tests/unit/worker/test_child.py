"""Child processes: what reaches them, what comes back, and that none is left behind."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from slm_shared.jobs.child import EXIT_ORPHANED, RUN_MODULE, Child, clean_environment
from slm_testing.waiting import eventually

ECHO = """
import sys
from slm_shared.jobs.child import Parent
parent = Parent()
print("a library prints")
parent.send("ready")
message = parent.receive()
parent.send("echo", message=message)
sys.stderr.write("last words\\n")
"""
STUBBORN = """
import signal, subprocess, sys
from slm_shared.jobs.child import Parent
parent = Parent()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
parent.send("ready", grandchild=grandchild.pid)
signal.pause()
"""
WAITING = """
import time
from slm_shared.jobs.child import Parent
parent = Parent()
parent.send("ready")
parent.receive()
"""
GIVES_BIRTH = """
import asyncio, sys
from pathlib import Path
from slm_shared.jobs.child import Child, clean_environment
async def main():
    child = await Child.start([sys.executable, "-c", sys.argv[1]], env=clean_environment(), log_path=Path(sys.argv[2]))
    await child.receive()
    print(child.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""

MODULE = """
import gc, sys
AT_IMPORT = gc.isenabled()
def main():
    print(AT_IMPORT, gc.isenabled(), sys.argv, gc.get_freeze_count() > 0)
    return 1 / int(sys.argv[1]) and 7
"""


async def start(code: str, folder: Path) -> Child:
    """A child that runs `code`."""
    return await Child.start([sys.executable, "-c", code], env=clean_environment(), log_path=folder / "child.log")


async def test_messages_pass_both_ways_and_prints_do_not_disturb_them(tmp_path: Path) -> None:
    child = await start(ECHO, tmp_path)
    assert await child.receive() == {"kind": "ready"}
    await child.send({"job": "ä"})
    assert [message async for message in child.messages()] == [{"kind": "echo", "message": {"job": "ä"}}]
    assert await child.wait() == 0
    assert child.log_tail().splitlines() == ["a library prints", "last words"]


@pytest.mark.parametrize(("argument", "status", "last_words"), [("1", 7, []), ("0", 1, ["ZeroDivisionError"])])
def test_a_module_is_imported_without_collecting_garbage_and_gives_its_status(
    tmp_path: Path, argument: str, status: int, last_words: list[str]
) -> None:
    (tmp_path / "some_module.py").write_text(MODULE)
    environment = clean_environment(PYTHONPATH=str(tmp_path))
    command = [*RUN_MODULE, "some_module", argument]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [f"False True ['some_module', '{argument}'] True"]
    assert (done.returncode, [line.split(":")[0] for line in done.stderr.splitlines()][-1:]) == (status, last_words)


async def test_stop_ends_the_whole_group_even_if_it_ignores_sigterm(tmp_path: Path) -> None:
    child = await start(STUBBORN, tmp_path)
    message = await child.receive()
    assert message is not None
    assert await child.stop(grace_s=0.1) == -9

    async def grandchild_is_gone() -> bool:
        return not psutil.pid_exists(message["grandchild"]) or is_zombie(message["grandchild"])

    await eventually(grandchild_is_gone)
    assert await child.receive() is None
    assert await child.stop(grace_s=0.1) == -9


async def test_a_child_ends_when_its_input_is_closed(tmp_path: Path) -> None:
    child = await start(WAITING, tmp_path)
    await child.receive()
    assert child._process.stdin is not None
    child._process.stdin.close()
    assert await child.wait() == EXIT_ORPHANED


async def test_a_child_dies_with_a_killed_parent(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", GIVES_BIRTH, WAITING, str(tmp_path / "log"), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()

    async def is_gone() -> bool:
        return not psutil.pid_exists(pid) or is_zombie(pid)

    await eventually(is_gone)


def test_no_credential_reaches_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLM_S3_SECRET_KEY", "SLM_SIGNING_KEY", "SLM_POSTGRES_PASSWORD", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, "secret")
    environment = clean_environment(EXTRA="1")
    assert "secret" not in environment.values()
    assert environment["EXTRA"] == "1"
    assert environment["PATH"] == os.environ["PATH"]


def is_zombie(pid: int) -> bool:
    """Whether a process only waits to be collected by a parent that does not."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
