"""The child that reads strangers' files has no network, starts no programs, and has bounds."""

import subprocess
import sys
import textwrap
from pathlib import Path

import polars as pl
import pytest

from slm_datasets.formats.parquet_rows import check_parquet
from slm_datasets.formats.problems import FileProblemError

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="system calls are refused on Linux only")


def confined(code: str, *, memory_bytes: int = 2 * 1024**3) -> subprocess.CompletedProcess[str]:
    """What becomes of code in a process that was confined."""
    head = "from slm_datasets.child.sandbox import confine\n"
    program = f"{head}assert confine(cpu_s=20, memory_bytes={memory_bytes})\n{textwrap.dedent(code)}"
    return subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)


@LINUX
@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.socket()",
        "import socket; socket.socketpair()",
        "import socket; socket.create_connection(('127.0.0.1', 1))",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.execv('/bin/true', ['true'])",
    ],
)
def test_there_is_no_network_and_no_program(code: str) -> None:
    found = confined(code)
    assert found.returncode == 1
    assert "PermissionError" in found.stderr


@LINUX
def test_threads_that_were_there_before_are_confined_too() -> None:
    program = """
        import socket, sys, threading
        from slm_datasets.child.sandbox import confine
        go, found = threading.Event(), []
        def work():
            go.wait()
            try:
                socket.socket()
            except PermissionError:
                found.append("refused")
        thread = threading.Thread(target=work)
        thread.start()
        confine(cpu_s=20, memory_bytes=2 * 1024**3)
        go.set()
        thread.join()
        sys.exit(found != ["refused"])
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False).returncode == 0


@LINUX
def test_memory_is_bounded() -> None:
    found = confined("x = bytearray(512 * 1024**2)", memory_bytes=256 * 1024**2)
    assert "MemoryError" in found.stderr


@LINUX
def test_reading_and_writing_files_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    code = (
        f"import polars as pl; pl.LazyFrame({{'a': [1]}}).sink_parquet({str(path)!r}); pl.read_parquet({str(path)!r})"
    )
    assert confined(code).returncode == 0


@LINUX
def test_a_line_of_hundreds_of_megabytes_is_one_problem_and_never_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    with path.open("wb") as file:
        file.truncate(500 * 1024**2)
        file.seek(0, 2)
        file.write(b'\n{"a": 1}\n')
    code = f"""
        from pathlib import Path
        from slm_datasets.formats.json_rows import check_lines
        from slm_datasets.formats.problems import ProblemLog
        log = ProblemLog()
        found = check_lines(Path({str(path)!r}), log)
        assert (found.rows, dict(log.counts)) == (1, {{"line_too_long": 1}}), (found.rows, log.counts)
    """
    done = confined(code, memory_bytes=300 * 1024**2)
    assert done.returncode == 0, done.stderr


def test_a_few_bytes_that_claim_a_billion_rows_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    pl.select(pl.repeat(7, 60_000_000, dtype=pl.Int64).alias("a")).write_parquet(path, compression="zstd")
    assert path.stat().st_size < 1_000_000
    with pytest.raises(FileProblemError) as caught:
        check_parquet(path, max_expanded_bytes=100_000_000)
    assert caught.value.code == "expands_too_much"
