"""The launcher says what is wrong in one line and leaves with an error, before it has started anything."""

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from slm_local.lock import locked
from slm_local.options import parser


async def launcher(*arguments: str) -> tuple[int, str]:
    """Run it to its end; exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "slm_local", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_a_second_start_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with locked(tmp_path):
        code, said = await launcher("--data-dir", str(tmp_path))
    assert code == 1
    assert said.startswith(f"slm_local: a stack already runs on {tmp_path} (process ")
    assert said.count("\n") == 1


async def test_a_taken_port_is_named_with_its_part(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        code, said = await launcher("--data-dir", str(tmp_path), "--free-ports", "--port", str(port))
    assert code == 1
    assert said == (
        f"slm_local: gateway cannot listen on 127.0.0.1:{port}: the port is taken; "
        "stop the program that uses it, or choose other ports (--port, --free-ports)\n"
    )


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, said = await launcher("--data-dir", str(tmp_path / "file" / "data"))
    assert code == 1
    assert said == f"slm_local: Not a directory: {tmp_path}/file/data\n"


async def test_the_status_of_nothing_is_that(tmp_path: Path) -> None:
    assert await launcher("status", "--data-dir", str(tmp_path)) == (3, f"No stack runs on {tmp_path}.\n")


@pytest.mark.parametrize(
    "arguments", [("--data-dir", "/x", "run", "--", "slm", "demo"), ("run", "--data-dir", "/x", "--", "slm", "demo")]
)
def test_options_stand_before_or_after_the_command(arguments: tuple[str, ...]) -> None:
    options = parser().parse_args(arguments)
    assert options.data_dir == Path("/x")
    assert options.port is None
    assert [word for word in options.words if word != "--"] == ["slm", "demo"]


async def test_stopping_nothing_says_so(tmp_path: Path) -> None:
    assert await launcher("down", "--data-dir", str(tmp_path)) == (3, f"No stack runs on {tmp_path}.\n")
