"""How does the registry bear many models?

Runs the registry on embedded servers with 100 and with 10,000 models, a lineage of 1,000 relatives, and fifty
registrations at once. All in one run, so that the ratios mean something.

    python benchmarks/registry.py

Held: p95 of a list of 10,000 <= 1.5 times that of 100; card and lineage of a model with 1,000 relatives <= 100 ms;
versions without gaps.
"""

import argparse
import asyncio
import json
import logging
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import structlog
import uvicorn
from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from slm_local.servers import embedded_servers
from slm_registry.app import create_app
from slm_registry.service.registration import Registrar
from slm_registry.settings import RegistrySettings
from slm_shared.delivery.broker import Broker
from slm_shared.errors import UnavailableError
from slm_shared.events.catalogue import ExperimentCompleted
from slm_shared.events.topology import migrate_topology
from slm_shared.http.app import spare_garbage_collection
from slm_shared.identity.keys import generate_keys
from slm_shared.identity.principal import HEADER, Principal, Role, Signer
from slm_shared.migrate import create_database, migrate_database
from slm_shared.settings import PlatformSettings
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore
from slm_shared.storage.signing import signer_for

REQUESTS = 200
AT_ONCE = 50
RELATIVES = 1000
QUERIES = {
    "newest": "",
    "by eval_loss": "?sort=eval_loss",
    "by -name, page 2": "?sort=-name&limit=50",
    "fine-tuned of one base": "?kind=fine_tuned&base_model=nano-v1",
    "one family": "?family=family-7&limit=1",
    "words": "?q=politely&limit=1",
}
FILL = """
INSERT INTO model (id, name, family, version, kind, base_model, training_dataset, artifact_prefix, manifest_key,
  manifest_sha256, size_bytes, parameter_count, architecture, config, goal, eval_loss, train_loss, created_at)
SELECT gen_random_uuid(), 'family-' || n % 97 || '-v' || n / 97 + 1, 'family-' || n % 97, n / 97 + 1, 'fine_tuned',
  jsonb_build_object('id', CAST(:base AS text), 'name', 'nano-v1'),
  jsonb_build_object('id', gen_random_uuid(), 'name', 'data-' || n % 31 || '-v1'),
  'x', 'x', 'x', n * 1000, n, '{}', '{}', CASE WHEN n % 50 = 0 THEN 'Answer politely' ELSE 'Turn commands' END,
  random(), random(), now() - n * interval '1 minute'
FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS n
"""
EVALUATIONS = """
INSERT INTO evaluation (id, model_id, model_name, dataset_id, dataset_name, rows, metrics)
SELECT gen_random_uuid(), CAST(:base AS uuid), 'nano-v1', gen_random_uuid(), 'data-' || n || '-v1', 10, '{"loss": 1.5}'
FROM generate_series(1, CAST(:relatives AS int)) AS n
"""
RELATED = (
    """
INSERT INTO lineage_node (id, type, name, at)
SELECT id::text, 'evaluation', 'nano-v1 on ' || dataset_name, now() FROM evaluation
WHERE model_id = CAST(:base AS uuid)""",
    """
INSERT INTO lineage_node (id, type, name, at)
SELECT dataset_id::text, 'dataset', dataset_name, now() FROM evaluation WHERE model_id = CAST(:base AS uuid)""",
    """
INSERT INTO lineage_edge (source, target, relation, at)
SELECT model_id::text, id::text, 'is measured by', now() FROM evaluation WHERE model_id = CAST(:base AS uuid)""",
    """
INSERT INTO lineage_edge (source, target, relation, at)
SELECT dataset_id::text, id::text, 'measures', now() FROM evaluation WHERE model_id = CAST(:base AS uuid)""",
)


@asynccontextmanager
async def serving(settings: RegistrySettings) -> AsyncIterator[str]:
    """The registry on a free port."""
    listener = socket.create_server(("127.0.0.1", 0))
    # As uvloop does for a service.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    spare_garbage_collection()
    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None, access_log=False))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


class Asker:
    """Asks the registry and takes the time."""

    def __init__(self, session: aiohttp.ClientSession, address: str, signer: Signer) -> None:
        self._session, self._address, self._signer = session, address, signer

    async def get(self, path: str) -> Any:
        """One answer."""
        headers = {HEADER: self._signer.token("registry", Principal("benchmark", Role.VIEWER))}
        async with self._session.get(self._address + path, headers=headers) as response:
            body = await response.read()
            if response.status != 200:
                raise RuntimeError(f"{path} answered {response.status}: {body[:200]!r}")
            return json.loads(body) if body[:1] in b"{[" else body

    async def milliseconds(self, path: str, requests: int) -> tuple[float, float]:
        """p50 and p95 of one request after the other."""
        for _ in range(10):
            await self.get(path)
        taken = []
        for _ in range(requests):
            begun = time.perf_counter()
            await self.get(path)
            taken.append((time.perf_counter() - begun) * 1000)
        taken.sort()
        return taken[len(taken) // 2], taken[int(len(taken) * 0.95)]

    async def ready(self) -> None:
        """Wait until the built-in model is registered."""
        while True:
            async with self._session.get(f"{self._address}/readyz") as response:
                if response.status == 200:
                    return
            await asyncio.sleep(0.1)


async def execute(database: Database, statements: Sequence[str], **values: Any) -> None:
    """Run statements in one transaction, with only the values each one asks for."""
    async with database.transaction() as session:
        for statement in statements:
            wanted = {name: value for name, value in values.items() if f"(:{name} AS" in statement}
            await session.execute(text(statement), wanted)
    async with database.read() as session:
        await session.execute(text("ANALYZE"))


async def lists(asker: Asker, database: Database, base: str, requests: int) -> Table:
    """Lists of 100 and of 10,000 models."""
    await execute(database, [FILL], base=base, first=1, last=99)
    few = {name: await asker.milliseconds(f"/api/models{query}", requests) for name, query in QUERIES.items()}
    await execute(database, [FILL], base=base, first=100, last=9_999)
    table = Table(title=f"Lists, {requests} requests each, milliseconds")
    for title in ("list", "100: p50", "p95", "10,000: p50", "p95", "ratio of p95"):
        table.add_column(title, justify="left" if title == "list" else "right")
    for name, query in QUERIES.items():
        before, after = few[name], await asker.milliseconds(f"/api/models{query}", requests)
        values = (*before, *after, after[1] / before[1])
        table.add_row(name, *(f"{value:.1f}" for value in values))
    return table


async def relatives(asker: Asker, database: Database, base: str, requests: int) -> Table:
    """Card and lineage of a model with a thousand relatives."""
    await execute(database, [EVALUATIONS, *RELATED], base=base, relatives=RELATIVES // 2)
    table = Table(title=f"A model with {RELATIVES} relatives, milliseconds")
    for title in ("what", "p50", "p95"):
        table.add_column(title, justify="left" if title == "what" else "right")
    for name, path in {
        "card": "/card",
        "card as markdown": "/card?format=markdown",
        "lineage": "/lineage",
        "lineage as Mermaid": "/lineage?format=mermaid",
    }.items():
        p50, p95 = await asker.milliseconds(f"/api/models/nano-v1{path}", requests // 4)
        table.add_row(name, f"{p50:.1f}", f"{p95:.1f}")
    graph = await asker.get("/api/models/nano-v1/lineage")
    table.caption = f"{len(graph['nodes'])} nodes, {len(graph['edges'])} edges."
    return table


def experiment(base: str) -> ExperimentCompleted:
    """An experiment that made a model."""
    fixed: dict[str, Any] = dict.fromkeys(("manifest_key", "manifest_sha256", "artifact_prefix"), "x")
    return ExperimentCompleted.model_validate(
        fixed
        | {"experiment_id": new_id(), "run_id": new_id(), "run_name": "At once", "attempt": 1, "family": "at-once"}
        | {"method": "full", "base_model_id": base, "base_model_name": "nano-v1", "training_dataset_id": new_id()}
        | {"training_dataset_name": "data-v1", "training_dataset_sha256": "x", "size_bytes": 1, "parameter_count": 1}
        | {"steps": 1, "train_loss": 1.0, "duration_s": 1.0, "started_at": 0, "completed_at": 0}
    )


async def registrations(settings: RegistrySettings, asker: Asker, base: str) -> Table:
    """Fifty registrations of one family at once."""
    database = Database(settings.database_url, pool_size=AT_ONCE)
    registrar = Registrar(signer_for(settings.platform.signing_key))

    async def register() -> None:
        told = experiment(base)
        while True:
            # As the bus does it: whoever waited too long for the family's lock is told of the experiment again.
            try:
                async with database.transaction() as session:
                    await registrar.register_fine_tuned(session, told)
                return
            except (DBAPIError, UnavailableError):
                await asyncio.sleep(0.1)

    begun = time.perf_counter()
    await asyncio.gather(*(register() for _ in range(AT_ONCE)))
    taken = time.perf_counter() - begun
    await database.close()
    page = await asker.get("/api/models?family=at-once&limit=100")
    versions = sorted(each["version"] for each in page["items"])
    table = Table(title=f"{AT_ONCE} registrations of one family at once")
    for title in ("seconds", "registrations/s", "versions", "gapless"):
        table.add_column(title, justify="right")
    gapless = "yes" if versions == list(range(1, AT_ONCE + 1)) else "NO"
    table.add_row(f"{taken:.2f}", f"{AT_ONCE / taken:.0f}", f"{versions[0]} to {versions[-1]}", gapless)
    return table


async def measure(folder: Path, requests: int) -> None:
    """Everything, on servers of its own; each table as soon as it is there."""
    console = Console(width=110)
    generate_keys(folder / "keys")
    async with embedded_servers(folder / "servers", durable=True) as servers:
        platform = PlatformSettings.model_validate(
            {
                "nats_url": servers.nats_url,
                "postgres_url": servers.postgres_url,
                "postgres_password": servers.postgres_password,
                "s3_endpoint": servers.s3_endpoint,
                "s3_access_key": servers.s3_access_key,
                "s3_secret_key": servers.s3_secret_key,
                "principal_keys": folder / "keys" / "principals.json",
                "signing_key": folder / "keys" / "service.json",
            }
        )
        broker = Broker(platform.nats_url, name="benchmark")
        await migrate_topology(await broker.jetstream())
        await broker.close()
        await ObjectStore(platform).ensure_bucket()
        settings = RegistrySettings(port=0, database_name="bench", platform=platform)
        await create_database(platform, "bench")
        await migrate_database(platform, "registry", name="bench")
        database = Database(settings.database_url)
        async with serving(settings) as address, aiohttp.ClientSession() as session:
            asker = Asker(session, address, Signer(folder / "keys" / "gateway.json"))
            await asker.ready()
            base = (await asker.get("/api/models/nano-v1"))["id"]
            console.print(await lists(asker, database, base, requests))
            console.print(await relatives(asker, database, base, requests))
            console.print(await registrations(settings, asker, base))
        await database.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=REQUESTS, help="per list; a quarter as many per card")
    requests: int = parser.parse_args().requests
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        asyncio.run(measure(Path(folder), requests))


if __name__ == "__main__":
    main()
