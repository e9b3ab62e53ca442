"""How quick are metric points from a trainer to a curve?

Points go the whole way: batches published to JetStream with their message ids, consumed, stored in PostgreSQL, readable
over REST. Then a series of a million points is drawn: asked for with 1,000 points, the least and greatest values kept.
MLflow's log-batch (1,000 points a request, the most it takes) runs beside it on the same PostgreSQL, when given.

    python benchmarks/telemetry.py [--points 200000] [--series 1000000] [--mlflow-python PYTHON]

Held: >= 15 times the points/s of MLflow's log-batch, readable within 1 s; a drawing <= 50 ms at the 95th percentile.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
from rich.console import Console
from rich.table import Table

from slm_local.servers import Servers, embedded_servers, settings_of
from slm_shared.delivery.broker import Broker
from slm_shared.events.catalogue import MetricPoint, TelemetryBatch, telemetry_subject
from slm_shared.events.cloudevents import MESSAGE_ID
from slm_shared.events.topology import TELEMETRY, migrate_topology
from slm_shared.http.app import spare_garbage_collection
from slm_shared.identity.keys import generate_keys
from slm_shared.migrate import create_database, database_name, migrate_database
from slm_shared.references import DatasetRef, ModelRef
from slm_shared.settings import PlatformSettings
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore
from slm_testing.apps import running
from slm_training.app import create_app
from slm_training.schemas.config import RunCreate
from slm_training.schemas.leases import Claim, RunLease
from slm_training.service import launching
from slm_training.service.leasing import LeasedJobs
from slm_training.service.resolving import Inputs
from slm_training.settings import TrainingSettings

PER_BATCH = 1000
DRAWN, DRAWINGS = 1000, 40
AT_ONCE = 8
Numbers = dict[str, float]


async def main() -> None:
    """Measure and print the table."""
    spare_garbage_collection()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--series", type=int, default=1_000_000)
    parser.add_argument("--mlflow-python", type=Path, help="a Python with MLflow and psycopg2")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        async with embedded_servers(Path(folder) / "servers", durable=True) as servers:
            settings = _settings(servers, Path(folder))
            ours = await _ours(settings, Path(folder), points=arguments.points, series=arguments.series)
            theirs = None
            if arguments.mlflow_python:
                theirs = await _mlflow(arguments.mlflow_python, settings, points=arguments.points // 10)
    _print_table(ours, theirs)


def _settings(servers: Servers, folder: Path) -> PlatformSettings:
    generate_keys(folder)
    return settings_of(servers, principal_keys=folder / "principals.json", signing_key=folder / "service.json")


async def _ours(settings: PlatformSettings, folder: Path, *, points: int, series: int) -> Numbers:
    broker = Broker(settings.nats_url, name="benchmark")
    await migrate_topology(await broker.jetstream())
    await migrate_database(settings, "training")
    database = Database(settings.database_url(database_name("training")))
    app = create_app(TrainingSettings(port=0, platform=settings))
    async with running(app, folder) as client:
        several = await _lease(database)
        begun = time.perf_counter()
        await _publish(broker, several, [f"series{number}" for number in range(8)], points // 8)
        await _readable(client, several, "series7", points // 8)
        rate = points / (time.perf_counter() - begun)
        begun = time.perf_counter()
        await _publish(broker, several, ["one more"], 1)
        await _readable(client, several, "one more", 1)
        delay = time.perf_counter() - begun
        one = await _lease(database)
        await _publish(broker, one, ["loss"], series)
        await _readable(client, one, "loss", series)
        drawn = sorted([await _draw(client, one) for _ in range(DRAWINGS)])
    await broker.close()
    await database.close()
    p95 = drawn[int(0.95 * len(drawn))]
    return {"points/s": rate, "readable after, ms": 1000 * delay, "p50": drawn[len(drawn) // 2], "p95": p95}


async def _lease(database: Database) -> RunLease:
    """A run under a lease, made without the services that a launch would ask."""
    dataset: dict[str, Any] = {"id": str(new_id()), "name": "rows-v1", "sha256": "0" * 64, "row_format": "text"}
    dataset |= {"object_key": "datasets/rows", "mapping": {}, "rows": 1}
    model = {"id": str(new_id()), "name": "nano-v1", "artifact_prefix": "m", "manifest_key": "m"}
    model["manifest_sha256"] = "0" * 64
    inputs = Inputs(ModelRef.model_validate(model), DatasetRef.model_validate(dataset), None)
    request = RunCreate.model_validate({"name": "Benchmark", "training_dataset": "rows-v1"})
    jobs = LeasedJobs(TrainingSettings(), database, ObjectStore(PlatformSettings()))
    async with database.transaction() as session:
        await launching.launch_run(session, request, inputs, owner="benchmark")
    async with database.transaction() as session:
        lease = await jobs.claim(session, Claim(worker="benchmark", claim_id=new_id()))
    assert lease is not None
    return lease


async def _publish(broker: Broker, lease: RunLease, names: list[str], steps: int) -> None:
    """Every series to so many steps, in batches of 1,000 points, several on their way at once."""
    jetstream = await broker.jetstream()
    experiment_id, now = lease.experiment_id, datetime.now(UTC)
    limit = asyncio.Semaphore(AT_ONCE)

    async def send(name: str, start: int, number: int) -> None:
        wanted = range(start, min(start + PER_BATCH, steps))
        points = [MetricPoint(step=step, name=name, value=1 / (1 + step), time=now) for step in wanted]
        batch = TelemetryBatch(experiment_id=experiment_id, epoch=lease.epoch, batch=number, points=points)
        headers = {MESSAGE_ID: f"{experiment_id}-{name}-{number}"}
        async with limit:
            payload = batch.model_dump_json().encode()
            await jetstream.publish(telemetry_subject(experiment_id), payload, 120.0, TELEMETRY, headers)

    starts = [(name, start) for start in range(0, steps, PER_BATCH) for name in names]
    await asyncio.gather(*(send(name, start, number) for number, (name, start) in enumerate(starts)))


async def _readable(client: httpx2.AsyncClient, lease: RunLease, name: str, steps: int) -> None:
    """Wait until the last step of a series can be read over REST."""
    path = f"/api/experiments/{lease.experiment_id}/metrics"
    params: dict[str, str | int] = {"name": name, "first_step": steps - 1, "last_step": steps - 1}
    while not (await client.get(path, params=params, timeout=60)).json().get("series"):  # noqa: ASYNC110  another process writes
        await asyncio.sleep(0.005)


async def _draw(client: httpx2.AsyncClient, lease: RunLease) -> float:
    """Milliseconds to get a whole series in at most 1,000 points."""
    begun = time.perf_counter()
    path = f"/api/experiments/{lease.experiment_id}/metrics"
    answer = await client.get(path, params={"name": "loss", "points": DRAWN}, timeout=60)
    taken = 1000 * (time.perf_counter() - begun)
    assert 500 < len(answer.json()["series"]["loss"]) <= DRAWN
    return taken


async def _mlflow(python: Path, settings: PlatformSettings, *, points: int) -> Numbers:
    """Points per second of MLflow's REST API, as many requests on their way at once as ours."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(_mlflow_server(python, settings))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        api = f"{url}/api/2.0/mlflow/runs"
        run_id = await _mlflow_run(session, api)
        limit = asyncio.Semaphore(AT_ONCE)

        async def send(start: int) -> None:
            metrics = [
                {"key": "loss", "value": 1 / (1 + step), "timestamp": step, "step": step}
                for step in range(start, start + PER_BATCH)
            ]
            async with limit, session.post(f"{api}/log-batch", json={"run_id": run_id, "metrics": metrics}) as answer:
                answer.raise_for_status()

        begun = time.perf_counter()
        await asyncio.gather(*(send(start) for start in range(0, points, PER_BATCH)))
        return {"points/s": points / (time.perf_counter() - begun)}


async def _mlflow_run(session: aiohttp.ClientSession, api: str) -> str:
    """A new run; the server drops connections for a while after it said that it is healthy."""
    while True:
        try:
            async with session.post(f"{api}/create", json={"experiment_id": "0"}) as answer:
                return str((await answer.json())["run"]["info"]["run_id"])
        except aiohttp.ClientError:
            await asyncio.sleep(0.5)


@asynccontextmanager
async def _mlflow_server(python: Path, settings: PlatformSettings) -> AsyncIterator[str]:
    """A running MLflow server on a database of the same PostgreSQL."""
    await create_database(settings, "mlflow")
    address = settings.database_url("mlflow").replace("+asyncpg", "+psycopg2")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [str(python), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    process = subprocess.Popen(  # noqa: ASYNC220  nothing else runs yet
        [*command, "--backend-store-uri", address],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        start_new_session=True,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession() as session:
            while not await _is_up(session, url):  # noqa: ASYNC110  another process starts
                await asyncio.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, 15)
        await asyncio.to_thread(process.wait, 30)


async def _is_up(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/health") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def _print_table(ours: Numbers, theirs: Numbers | None) -> None:
    table = Table("what", "platform", "MLflow", "ratio", title="Metric points")
    rate = theirs["points/s"] if theirs else None
    ratio = f"{ours['points/s'] / rate:.1f}" if rate else "-"
    table.add_row("points/s, stored", f"{ours['points/s']:,.0f}", f"{rate:,.0f}" if rate else "-", ratio)
    table.add_row("one point readable after, ms", f"{ours['readable after, ms']:.0f}", "-", "-")
    table.add_row("long series in 1,000 points, ms p50 / p95", f"{ours['p50']:.0f} / {ours['p95']:.0f}", "-", "-")
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
