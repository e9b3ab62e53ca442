"""The embedded servers: they start, keep what they were given, and never outlive the process that started them."""

import asyncio
import signal
import sys
from pathlib import Path

import asyncpg
import nats
import psutil
import pytest
from pydantic import SecretStr

from slm_local.servers import Servers, embedded_servers
from slm_local.servers.postgres import start_postgres
from slm_shared.settings import PlatformSettings
from slm_shared.storage.objects import ObjectStore
from slm_testing.waiting import eventually

HOLD = """
import asyncio, sys
from pathlib import Path
from slm_local.servers import embedded_servers

async def main():
    async with embedded_servers(Path(sys.argv[1]), durable=False):
        print("up", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def using(folder: Path) -> list[psutil.Process]:
    """The processes whose command names the folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in word for word in process.info["cmdline"] or ()) and process.pid != psutil.Process().pid:
            found.append(process)
    return found


def store_of(servers: Servers) -> ObjectStore:
    return ObjectStore(
        PlatformSettings(
            s3_endpoint=servers.s3_endpoint,
            s3_access_key=SecretStr(servers.s3_access_key),
            s3_secret_key=SecretStr(servers.s3_secret_key),
        )
    )


async def test_what_was_stored_is_there_after_a_restart_on_other_ports(tmp_path: Path) -> None:
    async with embedded_servers(tmp_path) as servers:
        postgres = await asyncpg.connect(f"{servers.postgres_url}/postgres", password=servers.postgres_password)
        await postgres.execute("CREATE TABLE kept AS SELECT 7 AS value")
        await postgres.close()
        await store_of(servers).ensure_bucket()
        await store_of(servers).put_bytes("kept", b"seven")
        client = await nats.connect(servers.nats_url)
        await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
        await client.jetstream().publish("kept", b"7")
        await client.close()
    assert using(tmp_path) == []

    async with embedded_servers(tmp_path) as servers:
        postgres = await asyncpg.connect(f"{servers.postgres_url}/postgres", password=servers.postgres_password)
        assert await postgres.fetchval("SELECT value FROM kept") == 7
        await postgres.close()
        assert await store_of(servers).get_bytes("kept") == b"seven"
        client = await nats.connect(servers.nats_url)
        assert (await client.jetstream().stream_info("KEPT")).state.messages == 1
        await client.close()


async def test_postgres_refuses_a_wrong_password_and_never_runs_as_root(tmp_path: Path) -> None:
    server = await start_postgres(tmp_path / "postgres", logs=tmp_path / "logs", durable=False)
    try:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(f"{server.url}/postgres", password="guess")
        connection = await asyncpg.connect(f"{server.url}/postgres", password=server.password)
        version = await connection.fetchval("SHOW server_version")
        await connection.close()
        assert version.startswith("18")
        assert (tmp_path / "postgres" / "password").stat().st_mode & 0o077 == 0
    finally:
        await server.process.stop()


async def test_a_pid_file_of_the_past_does_not_keep_postgres_down(tmp_path: Path) -> None:
    server = await start_postgres(tmp_path / "postgres", logs=tmp_path / "logs", durable=False)
    await server.process.stop()
    # As after a kill -9, with the number since given to another program: this one.
    (tmp_path / "postgres" / "data" / "postmaster.pid").write_text(f"{psutil.Process().pid}\n")
    server = await start_postgres(tmp_path / "postgres", logs=tmp_path / "logs", durable=False)
    await server.process.stop()


async def test_killing_the_process_that_started_them_leaves_none(tmp_path: Path) -> None:
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"up\n"
    assert len(using(tmp_path)) >= 4

    holder.send_signal(signal.SIGKILL)
    await holder.wait()

    async def all_gone() -> bool:
        return not using(tmp_path)

    await eventually(all_gone)
