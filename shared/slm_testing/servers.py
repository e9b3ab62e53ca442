"""Where the servers of a test run come from: addresses that are given, containers, or the embedded servers."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from slm_local.servers import embedded_servers, settings_of
from slm_shared.delivery.broker import Broker
from slm_shared.events.topology import migrate_topology
from slm_shared.identity.keys import generate_keys
from slm_shared.settings import PlatformSettings
from slm_shared.storage.objects import ObjectStore
from slm_testing.containers import servers_in_containers

# What a request may wait for its database here: a machine that tests may be busy, and nobody waits.
PATIENCE_S = 20.0
# A file system in memory, where there is one, and what a test process may fill of it.
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 2**30


@asynccontextmanager
async def servers_for_tests(folder: Path, *, in_containers: bool = False) -> AsyncIterator[PlatformSettings]:
    """Settings that lead to real servers with bucket, streams and signing keys in place.

    Servers that are started end with the block; the embedded ones keep their data in `folder`. Raises NoEngineError
    when they are to run in containers and no container engine answers.
    """
    keys = folder / "keys"
    generate_keys(keys)
    async with _source(folder, in_containers) as found:
        settings = found.model_copy(
            update={
                "principal_keys": keys / "principals.json",
                "signing_key": keys / "service.json",
                "answer_within_s": PATIENCE_S,
            }
        )
        await _prepare(settings)
        yield settings


@asynccontextmanager
async def _source(folder: Path, in_containers: bool) -> AsyncIterator[PlatformSettings]:
    if os.environ.get("SLM_TEST_NATS_URL"):
        yield PlatformSettings(
            nats_url=os.environ["SLM_TEST_NATS_URL"],
            postgres_url=os.environ["SLM_TEST_POSTGRES_URL"],
            s3_endpoint=os.environ["SLM_TEST_S3_ENDPOINT"],
        )
    elif in_containers:
        async with servers_in_containers() as servers:
            yield settings_of(servers)
    else:
        with _quick(folder):
            async with embedded_servers(folder, durable=False) as servers:
                yield settings_of(servers)


@contextmanager
def _quick(folder: Path) -> Iterator[None]:
    """Let the databases lie in memory, where there is room.

    Each test makes and drops databases of 300 files. To make one, ext4 looks at every inode around that was freed
    within the last minute: on a disk this takes longer than the tests.
    """
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < 2 * MEMORY_BYTES:
        yield
        return
    with TemporaryDirectory(prefix="slm-tests-", dir=MEMORY) as memory:
        (folder / "postgres").symlink_to(memory)
        yield


async def _prepare(settings: PlatformSettings) -> None:
    broker = Broker(settings.nats_url, name="tests")
    await migrate_topology(await broker.jetstream())
    await broker.close()
    await ObjectStore(settings).ensure_bucket()
