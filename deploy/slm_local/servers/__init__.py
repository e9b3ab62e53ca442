"""The three servers of the platform, embedded: the same programs as in production, on the loopback interface."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from slm_local.errors import first_error
from slm_local.process import Process
from slm_local.servers.nats import NatsServer, start_nats
from slm_local.servers.postgres import PostgresServer, start_postgres
from slm_local.servers.s3 import STOP_GRACE_S, S3Server, start_s3
from slm_shared.settings import PlatformSettings


class Server(Protocol):
    """Any of the three."""

    @property
    def process(self) -> Process:
        """The process it runs as."""


S = TypeVar("S", bound=Server)


@dataclass(frozen=True, slots=True)
class Servers:
    """Addresses and credentials of running servers, as the fields of `PlatformSettings` that lead to them.

    `postgres_url` names no database and carries no password.
    """

    nats_url: str
    postgres_url: str
    postgres_password: str = field(repr=False)
    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str = field(repr=False)


def environment(servers: Servers) -> dict[str, str]:
    """The variables through which `PlatformSettings` learns of the servers."""
    return {f"SLM_{name.upper()}": value for name, value in asdict(servers).items()}


def settings_of(servers: Servers, **more: Any) -> PlatformSettings:
    """Settings that lead to the servers; `more` are further fields."""
    return PlatformSettings(**asdict(servers), **more)


@asynccontextmanager
async def embedded_servers(data_dir: Path, *, durable: bool = True) -> AsyncIterator[Servers]:
    """Run all three on free ports with their data and logs in `data_dir`, until the block ends.

    `durable=False` is quicker and loses data when the machine stops: for tests.
    """
    logs = data_dir / "logs"
    async with AsyncExitStack() as running:

        async def keep(starting: Awaitable[S], *, grace_s: float = 5.0) -> S:
            server = await starting
            running.push_async_callback(server.process.stop, grace_s=grace_s)
            return server

        try:
            async with asyncio.TaskGroup() as group:
                nats = group.create_task(keep(start_nats(data_dir / "nats", logs=logs, durable=durable)))
                postgres = group.create_task(keep(start_postgres(data_dir / "postgres", logs=logs, durable=durable)))
                s3 = group.create_task(
                    keep(start_s3(data_dir / "s3", logs=logs), grace_s=STOP_GRACE_S if durable else 0)
                )
        except ExceptionGroup as failed:
            raise first_error(failed) from failed
        yield _addresses(nats.result(), postgres.result(), s3.result())


def _addresses(nats: NatsServer, postgres: PostgresServer, s3: S3Server) -> Servers:
    return Servers(
        nats_url=nats.url,
        postgres_url=postgres.url,
        postgres_password=postgres.password,
        s3_endpoint=s3.endpoint,
        s3_access_key=s3.access_key,
        s3_secret_key=s3.secret_key,
    )
