"""The servers of a test run as containers, on the images of `compose.yaml`."""

import asyncio
import gc
import json
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from docker.errors import DockerException
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.wait_strategies import ExecWaitStrategy, HttpWaitStrategy

from slm_local.servers import Servers

IMAGES = {"nats": "nats:2.15-alpine", "postgres": "pgvector/pgvector:pg18", "s3": "chrislusf/seaweedfs:4.48"}
NATS_PORT, NATS_MONITORING_PORT, POSTGRES_PORT, S3_PORT = 4222, 8222, 5432, 8333
NAME, SECRET = "slm", "only-for-tests"
# Streams reserve their limits; by default the server offers a share of what happens to be free on the disk.
NATS_CONFIGURATION = {
    "port": NATS_PORT,
    "http": NATS_MONITORING_PORT,
    "max_payload": 2**20,
    "jetstream": {"store_dir": "/tmp/jetstream", "max_file_store": 16 * 2**30},
}
POSTGRES_SETTINGS = ("max_connections=200", "fsync=off", "synchronous_commit=off", "full_page_writes=off")
S3_OPTIONS = (
    *("-dir=/data/objects", "-ip=127.0.0.1", "-ip.bind=0.0.0.0", "-master.telemetry=false", "-admin.ui=false"),
    *("-webdav=false", f"-s3.port={S3_PORT}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"),
)


class NoEngineError(Exception):
    """No container engine answers."""


@asynccontextmanager
async def servers_in_containers() -> AsyncIterator[Servers]:
    """Run the three servers in containers with ports of their own, until the block ends.

    Raises NoEngineError; the Docker client finds an engine as the `docker` command does (`DOCKER_HOST`). A container of
    testcontainers' own, Ryuk, removes them should this process be killed; `TESTCONTAINERS_RYUK_DISABLED=true` does
    without it.
    """
    _require_engine()
    nats, postgres, s3 = containers = (_nats(), _postgres(), _s3())
    async with AsyncExitStack() as running:
        for container in containers:
            running.push_async_callback(asyncio.to_thread, container.stop)
        # All of them to their end: one that is given up while it starts would stay.
        ends = await asyncio.gather(*(asyncio.to_thread(each.start) for each in containers), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        yield Servers(
            nats_url=f"nats://{_address(nats, NATS_PORT)}",
            postgres_url=f"postgresql://{NAME}@{_address(postgres, POSTGRES_PORT)}",
            postgres_password=SECRET,
            s3_endpoint=f"http://{_address(s3, S3_PORT)}",
            s3_access_key=NAME,
            s3_secret_key=SECRET,
        )


def _require_engine() -> None:
    with warnings.catch_warnings():
        # The Docker client leaves its socket open when nobody answers there.
        warnings.simplefilter("ignore", ResourceWarning)
        problem = _engine_problem()
        gc.collect()
    if problem:
        raise NoEngineError(f"no container engine answers: {problem}")


def _engine_problem() -> str | None:
    try:
        engine = DockerClient()
        engine.client.ping()
        engine.client.close()
    except (DockerException, OSError) as error:
        return str(error)
    return None


def _address(container: DockerContainer, port: int) -> str:
    return f"{container.get_container_host_ip()}:{container.get_exposed_port(port)}"


def _nats() -> DockerContainer:
    return (
        DockerContainer(IMAGES["nats"])
        # NATS reads JSON as its own format.
        .with_copy_into_container(json.dumps(NATS_CONFIGURATION).encode(), "/etc/nats/slm.conf")
        .with_command(["--config", "/etc/nats/slm.conf"])
        .with_exposed_ports(NATS_PORT, NATS_MONITORING_PORT)
        .waiting_for(HttpWaitStrategy(NATS_MONITORING_PORT, "/healthz"))
    )


def _postgres() -> DockerContainer:
    return (
        DockerContainer(IMAGES["postgres"])
        .with_envs(POSTGRES_USER=NAME, POSTGRES_PASSWORD=SECRET, POSTGRES_DB="postgres")
        .with_command(["postgres", *(part for setting in POSTGRES_SETTINGS for part in ("-c", setting))])
        .with_tmpfs_mount("/var/lib/postgresql", "size=2g")
        .with_exposed_ports(POSTGRES_PORT)
        # Over TCP: the socket already answers while the first start is still preparing the cluster.
        .waiting_for(ExecWaitStrategy(["pg_isready", "-h", "127.0.0.1", "-U", NAME, "-d", "postgres"]))
    )


def _s3() -> DockerContainer:
    return (
        DockerContainer(IMAGES["s3"])
        .with_envs(AWS_ACCESS_KEY_ID=NAME, AWS_SECRET_ACCESS_KEY=SECRET, GOMEMLIMIT="320MiB")
        .with_kwargs(entrypoint=["weed"])
        .with_command(["-logtostderr", "mini", *S3_OPTIONS])
        .with_exposed_ports(S3_PORT)
        .waiting_for(HttpWaitStrategy(S3_PORT, "/readyz"))
    )
