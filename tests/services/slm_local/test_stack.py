"""The whole platform as one command: ready, watched, stopped, and never left behind."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from slm_local.addresses import SERVER_PORTS, SERVICE_PORTS
from slm_local.components import WORKERS
from slm_testing.waiting import eventually

READY_S = 60.0
STOP_S = 10.0
PARTS = {*SERVER_PORTS, *SERVICE_PORTS, *WORKERS, "gateway", "ui"}


@dataclass
class Launcher:
    """A launcher that said it is ready."""

    process: asyncio.subprocess.Process
    data_dir: Path
    record: dict[str, Any]

    def pid(self, part: str) -> int:
        return next(int(entry["pid"]) for entry in self.record["parts"] if entry["name"] == part)

    def processes(self) -> list[psutil.Process]:
        """Every process below the launcher."""
        return psutil.Process(self.process.pid).children(recursive=True)

    async def end(self) -> tuple[int, str]:
        """Its exit code and the last line it said."""
        assert self.process.stderr is not None
        async with asyncio.timeout(STOP_S):
            said = (await self.process.stderr.read()).decode()
            return await self.process.wait(), said.splitlines()[-1]


@asynccontextmanager
async def launched(data_dir: Path, *more: str) -> AsyncIterator[Launcher]:
    """A whole stack on free ports, with `more` options of `up`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "slm_local", "--data-dir", str(data_dir), "--free-ports", "up", *more),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(READY_S):
            said = []
            while line := (await process.stderr.readline()).decode():
                said.append(line)
                if line.startswith("Ctrl-C"):
                    break
            else:
                pytest.fail("".join(said))
        yield Launcher(process, data_dir, json.loads((data_dir / "stack.json").read_text()))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def all_ended(processes: list[psutil.Process]) -> None:
    async def none_left() -> bool:
        return not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes)

    await eventually(none_left)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all of these: the second start finds what the first made."""
    return tmp_path_factory.mktemp("stack")


async def test_it_starts_answers_and_stops_when_told(data_dir: Path) -> None:
    async with launched(data_dir) as stack:
        assert {entry["name"] for entry in stack.record["parts"]} == PARTS
        assert stack.record["ready"]
        async with httpx2.AsyncClient(base_url=stack.record["gateway_url"]) as client:
            assert (await client.get("/readyz")).status_code == 200
            assert (await client.get("/api/datasets")).json()["items"] == []
        await a_command_uses_it(stack)
        processes = stack.processes()
        stack.process.send_signal(signal.SIGTERM)
        code, last = await stack.end()
        assert code == 0
        assert last.startswith("Stopped in ")
        await all_ended(processes)
        assert not (data_dir / "stack.json").exists()


async def a_command_uses_it(stack: Launcher) -> None:
    """`run` on the folder of a running stack takes that one, and ends as its command does."""
    show = "import os, sys; print(os.environ['SLM_GATEWAY_URL']); sys.exit(7)"
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "slm_local", "run", "--data-dir", str(stack.data_dir), "--"),
        *(sys.executable, "-c", show),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    said, _ = await command.communicate()
    assert said.decode().strip() == stack.record["gateway_url"]
    assert command.returncode == 7
    assert stack.process.returncode is None


async def test_killing_the_launcher_leaves_nothing_behind_and_the_next_start_works(data_dir: Path) -> None:
    async with launched(data_dir) as stack:
        processes = stack.processes()
        assert len(processes) > len(PARTS)
        stack.process.kill()
        await stack.process.wait()
        await all_ended(processes)
    async with launched(data_dir, "--without", "evaluator") as stack:
        a_part_left_out_can_be_started_by_hand(stack)
        await a_part_that_dies_is_named(stack)


def a_part_left_out_can_be_started_by_hand(stack: Launcher) -> None:
    """Its environment lies in a file that only this user can read."""
    assert [entry["pid"] for entry in stack.record["parts"] if entry["name"] == "evaluator"] == [None]
    variables = stack.data_dir / "run" / "evaluator.env"
    assert variables.stat().st_mode & 0o077 == 0
    assert f"SLM_SIGNING_KEY={stack.data_dir}/keys/worker.json\n" in variables.read_text()


async def a_part_that_dies_is_named(stack: Launcher) -> None:
    """The launcher says which, stops the rest and leaves with an error."""
    processes = stack.processes()
    os.kill(stack.pid("registry"), signal.SIGKILL)
    code, last = await stack.end()
    assert code == 1
    log = stack.data_dir / "logs" / "registry.log"
    assert last == f"slm_local: registry was ended by SIGKILL; the log says why (log: {log})"
    await all_ended(processes)
