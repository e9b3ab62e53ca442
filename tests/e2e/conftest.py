"""The whole platform on this machine, started once for all tests of this folder."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slm_client import SlmClient
from slm_local.record import read_record

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the gateway of a fresh stack."""
    folder = tmp_path_factory.mktemp("stack")
    command = [sys.executable, "-m", "slm_local", "--data-dir", str(folder), "--free-ports", "up"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLM_")}
    with (folder / "launcher.log").open("wb") as log:
        launcher = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        yield _ready(launcher, folder)
    finally:
        launcher.send_signal(signal.SIGINT)
        try:
            launcher.wait(STOP_TIMEOUT_S)
        finally:
            launcher.kill()


def _ready(launcher: "subprocess.Popen[bytes]", folder: Path) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        record = read_record(folder)
        if record is not None and record.ready:
            return record.gateway_url
        try:
            launcher.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(f"the stack did not start:\n{(folder / 'launcher.log').read_text()}")


@pytest.fixture(scope="session")
def client(stack: str) -> Iterator[SlmClient]:
    """A client of that stack."""
    with SlmClient(stack) as connected:
        yield connected
