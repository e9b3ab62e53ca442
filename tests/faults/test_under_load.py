"""Every fault of the matrix while clients write and workers hold leases: nothing is lost, nothing happens twice."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.cluster import Cluster
from tests.support.injections import INJECTIONS
from tests.support.invariants import Books, examine, settle
from tests.support.load import ROWS, Client, LoadWorker, Oracle
from tests.support.report import Injected

CLIENTS, WORKERS = 4, 6
RAMP_UP_WRITES = 50
LOAD_TIMEOUT_S = 300.0
pytestmark = [pytest.mark.timeout(600), pytest.mark.fault]


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory, round_number: int) -> AsyncIterator[Cluster]:
    """One platform for all faults of a round: each has to leave it whole."""
    cluster = Cluster(tmp_path_factory.mktemp(f"cluster{round_number}-"))
    await cluster.start()
    yield cluster
    await cluster.stop()


@pytest.fixture(scope="module")
async def dataset(cluster: Cluster) -> str:
    """A dataset that every run is launched on."""
    form = aiohttp.FormData({"name": "rows"})
    form.add_field("file", ROWS.encode(), filename="rows.csv")
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{cluster.gateway_url}/api/datasets", data=form) as response:
            made: dict[str, Any] = await response.json()
        async with asyncio.timeout(60):
            while made["status"] != "processed":
                async with session.get(f"{cluster.gateway_url}/api/datasets/{made['id']}") as response:
                    made = await response.json()
    return str(made["id"])


@pytest.mark.parametrize("fault", INJECTIONS)
async def test_nothing_is_lost_and_nothing_happens_twice(
    cluster: Cluster,
    dataset: str,
    fault: str,
    writes: int,
    seed: int,
    tmp_path: Path,
    round_number: int,
    fault_report: list[Injected],
) -> None:
    await cluster.heal()
    drawn = f"{seed}-{round_number}-{fault}"
    chance = random.Random(drawn)
    oracle = Oracle(tmp_path / "oracle.jsonl")
    stop, is_settled = asyncio.Event(), asyncio.Event()
    clients = [
        Client(cluster.gateway_url, oracle, name=f"{fault}, {round_number}.{n}", seed=f"{drawn}-{n}", dataset=dataset)
        for n in range(CLIENTS)
    ]
    workers = [
        LoadWorker(cluster.settings, tmp_path / "workers", name=f"worker-{n}", seed=f"{drawn}-{n}")
        for n in range(WORKERS)
    ]
    books = Books(cluster)
    await books.open()
    async with asyncio.timeout(LOAD_TIMEOUT_S), asyncio.TaskGroup() as group:
        for worker in workers:
            group.create_task(worker.work(is_settled))
        writing = [group.create_task(client.work(stop)) for client in clients]
        await oracle.reach(RAMP_UP_WRITES + chance.randint(0, 50))
        await INJECTIONS[fault](cluster, chance)
        healed_at = time.monotonic()
        await oracle.reach(max(writes, oracle.count + 10))
        stop.set()
        await asyncio.wait(writing)
        unsettled = await settle(books)
        is_settled.set()
    completed = [each for worker in workers for each in worker.completed]
    verdict = await examine(cluster, books, oracle, completed)
    heard = [each for worker in workers for each in worker.heard_zombies]
    verdict.accepted_zombies += len(heard)
    verdict.wrong += [*unsettled, *(f"a zombie was heard: {each}" for each in heard)]
    await books.close()
    fault_report.append(
        Injected(
            fault=fault,
            writes=oracle.count,
            lost=verdict.lost,
            duplicated=verdict.duplicated,
            wrong=verdict.wrong,
            recovery_s=oracle.first_after(healed_at) or 0.0,
            slowest_s=oracle.slowest_s,
            completed=len(completed),
            refused_zombies=sum(worker.refused_zombies for worker in workers),
            accepted_zombies=verdict.accepted_zombies,
        )
    )
    assert verdict.wrong == []
    assert (verdict.lost, verdict.duplicated) == (0, 0)
