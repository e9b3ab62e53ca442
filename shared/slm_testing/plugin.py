"""Fixtures for tests on real servers (`pytest_plugins = ["slm_testing.plugin"]`).

NATS, PostgreSQL and S3 come from the environment (`SLM_TEST_NATS_URL`, `SLM_TEST_POSTGRES_URL`, `SLM_TEST_S3_ENDPOINT`,
all three or none) or are started once per test process from the embedded servers. Each test gets fresh databases and
empty streams.
"""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar
from uuid import UUID

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.types import ASGIApp

from slm_local.servers import Servers, embedded_servers, settings_of
from slm_shared.delivery.broker import Broker
from slm_shared.events.catalogue import Event
from slm_shared.events.cloudevents import headers_of
from slm_shared.events.topology import EVENTS, STREAMS, migrate_topology
from slm_shared.http.provided import Service, given
from slm_shared.identity.keys import SIGNERS
from slm_shared.identity.principal import HEADER, Principal, Role, Signer, generate_keys
from slm_shared.migrate import create_database, migrate_database
from slm_shared.settings import PlatformSettings
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore

DEADLINE_S = 60.0
# What a request may wait for its database here: a machine that tests may be busy, and nobody waits.
PATIENCE_S = 20.0
POLL_S = 0.03
# A file system in memory, where there is one, and what a test process may fill of it.
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 2**30

E = TypeVar("E", bound=Event)
T = TypeVar("T")


async def eventually(check: Callable[[], Awaitable[T | None]], *, timeout_s: float = DEADLINE_S) -> T:
    """Ask `check` until it gives something true, and return that. Raises TimeoutError after `timeout_s`."""
    async with asyncio.timeout(timeout_s):
        while not (found := await check()):  # noqa: ASYNC110  what is waited for may lie in another process
            await asyncio.sleep(POLL_S)
        return found


@pytest.fixture(scope="session")
def _servers_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the servers keep their data: the databases in memory, where there is room.

    Each test makes and drops databases of 300 files. To make one, ext4 looks at every inode around that was freed
    within the last minute: on a disk this takes longer than the tests.
    """
    folder = tmp_path_factory.mktemp("servers")
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < 2 * MEMORY_BYTES:
        yield folder
        return
    with TemporaryDirectory(prefix="slm-tests-", dir=MEMORY) as memory:
        (folder / "postgres").symlink_to(memory)
        yield folder


@pytest.fixture(scope="session")
async def platform_settings(
    tmp_path_factory: pytest.TempPathFactory, _servers_folder: Path
) -> AsyncIterator[PlatformSettings]:
    """Settings that lead to real servers with bucket, streams and signing keys in place."""
    keys = tmp_path_factory.mktemp("keys")
    generate_keys(keys, dict(SIGNERS))
    if nats_url := os.environ.get("SLM_TEST_NATS_URL"):
        yield await _prepared(_from_environment(nats_url, keys))
        return
    async with embedded_servers(_servers_folder, durable=False) as servers:
        yield await _prepared(_from_servers(servers, keys))


def _from_environment(nats_url: str, keys: Path) -> PlatformSettings:
    return PlatformSettings(
        nats_url=nats_url,
        postgres_url=os.environ["SLM_TEST_POSTGRES_URL"],
        s3_endpoint=os.environ["SLM_TEST_S3_ENDPOINT"],
        principal_keys=keys / "principals.json",
        signing_key=keys / "service.json",
        answer_within_s=PATIENCE_S,
    )


def _from_servers(servers: Servers, keys: Path) -> PlatformSettings:
    own = {"principal_keys": keys / "principals.json", "signing_key": keys / "service.json"}
    return settings_of(servers, **own, answer_within_s=PATIENCE_S)


async def _prepared(settings: PlatformSettings) -> PlatformSettings:
    broker = Broker(settings.nats_url, name="tests")
    await migrate_topology(await broker.jetstream())
    await broker.close()
    await ObjectStore(settings).ensure_bucket()
    return settings


@pytest.fixture(scope="session")
def principal_keys(platform_settings: PlatformSettings) -> Path:
    """The folder with `gateway.json`, `service.json`, `worker.json` and `principals.json`."""
    assert platform_settings.principal_keys is not None
    return platform_settings.principal_keys.parent


@pytest.fixture(scope="session")
async def _templates(platform_settings: PlatformSettings) -> dict[str, str]:
    return {}


@pytest.fixture
async def service_database(
    platform_settings: PlatformSettings, _templates: dict[str, str], events: "EventLog"
) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """`await service_database("training")`: the name of a fresh, migrated database, dropped after the test."""
    made: list[str] = []

    async def make(service: str) -> str:
        if service not in _templates:
            template = f"template_{service}_{new_id().hex}"
            await migrate_database(platform_settings, service, name=template)
            _templates[service] = template
        name = f"test_{service}_{new_id().hex}"
        await create_database(platform_settings, name, template=_templates[service])
        made.append(name)
        return name

    yield make
    engine = create_async_engine(platform_settings.database_url("postgres"), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for name in made:
            await connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    await engine.dispose()


class EventLog:
    """The stream of events as a test sees it: publish as an owner would, and wait for what services publish."""

    def __init__(self, jetstream: JetStreamContext) -> None:
        self._jetstream = jetstream

    async def publish(self, event: Event, *, event_id: UUID | None = None) -> UUID:
        """Publish an event in its owner's name; returns its id."""
        event_id = event_id or new_id()
        headers = headers_of(
            event_id=str(event_id),
            subject=event.subject,
            source=event.owner,
            aggregate_id=str(event.aggregate_id),
            time=datetime.now(UTC),
            traceparent=None,
        )
        await self._jetstream.publish(
            event.subject, event.model_dump_json().encode(), stream=EVENTS, headers=dict(headers)
        )
        return event_id

    async def all(self, event: type[E]) -> list[E]:
        """Every event of a class that was published in this test, oldest first."""
        info = await self._jetstream.stream_info(EVENTS, subjects_filter=event.subject)
        count = (info.state.subjects or {}).get(event.subject, 0)
        if not count:
            return []
        config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
        pull = await self._jetstream.pull_subscribe(event.subject, stream=EVENTS, config=config)
        messages = await pull.fetch(count, timeout=5)
        await pull.unsubscribe()
        return [event.model_validate_json(message.data) for message in messages]

    async def wait_for(
        self, event: type[E], where: Callable[[E], bool] = lambda _: True, *, timeout_s: float = DEADLINE_S
    ) -> E:
        """The first event of a class that `where` accepts. Raises TimeoutError after `timeout_s`."""

        async def check() -> E | None:
            return next((found for found in await self.all(event) if where(found)), None)

        return await eventually(check, timeout_s=timeout_s)


@pytest.fixture
async def events(platform_settings: PlatformSettings) -> AsyncIterator[EventLog]:
    """The event stream, emptied for this test."""
    broker = Broker(platform_settings.nats_url, name="tests")
    jetstream = await broker.jetstream()
    for stream in STREAMS:
        assert stream.name is not None
        await jetstream.purge_stream(stream.name)
    yield EventLog(jetstream)
    await broker.close()


class _SignedBy(httpx2.Auth):
    def __init__(self, signer: Signer, audience: str, principal: Principal) -> None:
        self._signer, self._audience, self._principal = signer, audience, principal

    def auth_flow(self, request: httpx2.Request):  # type: ignore[no-untyped-def]  # the generator type is httpx2's own
        """Add the principal, freshly signed when the last one grew old."""
        request.headers[HEADER] = self._signer.token(self._audience, self._principal)
        yield request


@asynccontextmanager
async def running(
    app: FastAPI, keys: Path, *, role: Role = Role.ADMIN, subject: str = "tester"
) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve an app on a free loopback port and give a client that carries a principal of `role`."""
    async with (
        serving(app) as base_url,
        client_of(base_url, given(app, Service).name, keys, role=role, subject=subject) as client,
    ):
        yield client


@asynccontextmanager
async def client_of(
    base_url: str, service: str, keys: Path, *, role: Role = Role.ADMIN, subject: str = "tester"
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a service that runs under `base_url`; it carries a principal of `role`."""
    kid = "worker" if role is Role.WORKER else "gateway"
    auth = _SignedBy(Signer(keys / f"{kid}.json"), service, Principal(subject, role))
    async with httpx2.AsyncClient(base_url=base_url, auth=auth, timeout=DEADLINE_S) as client:
        yield client


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """Serve any ASGI app on a free loopback port while the block runs; gives its base address."""
    listener = socket.create_server(("127.0.0.1", 0))
    # As uvloop does for a service: otherwise the second part of an answer waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:

        async def started() -> bool:
            if task.done():
                task.result()
            return server.started

        await eventually(started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()
