"""Disks without room: what was accepted is kept, what cannot be kept is refused, and room brings everything back."""

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from slm_testing.waiting import eventually
from tests.support.cluster import Cluster
from tests.support.disks import fill, small_disk
from tests.support.invariants import Books, settle
from tests.support.load import ROWS

pytestmark = [pytest.mark.timeout(180), pytest.mark.fault]
LAUNCHES = 200


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session:
        yield session


async def upload(session: aiohttp.ClientSession, cluster: Cluster, name: str, rows: str = ROWS) -> tuple[int, str]:
    """Upload rows; status and id."""
    form = aiohttp.FormData({"name": name})
    form.add_field("file", BytesIO(rows.encode()), filename="rows.csv")
    async with session.post(f"{cluster.gateway_url}/api/datasets", data=form) as response:
        body = await response.json()
        return response.status, body.get("id") or body["code"]


async def processed(session: aiohttp.ClientSession, cluster: Cluster, dataset: str) -> None:
    """Wait until a dataset is processed."""

    async def check() -> bool:
        async with session.get(f"{cluster.gateway_url}/api/datasets/{dataset}") as response:
            return bool((await response.json()).get("status") == "processed")

    await eventually(check, timeout_s=30)


async def launch(session: aiohttp.ClientSession, cluster: Cluster, dataset: str, name: str) -> int:
    """Launch a run; the status."""
    body = {"name": name, "training_dataset": dataset}
    async with session.post(f"{cluster.gateway_url}/api/runs", json=body) as response:
        await response.read()
        return response.status


async def test_events_wait_while_the_disk_of_nats_is_full(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    with small_disk(tmp_path / "nats", 48):
        cluster = Cluster(tmp_path)
        await cluster.start()
        books = Books(cluster)
        try:
            _, dataset = await upload(session, cluster, "rows")
            await processed(session, cluster, dataset)
            filler = fill(tmp_path / "nats")
            statuses = {await launch(session, cluster, dataset, f"run {number}") for number in range(LAUNCHES)}
            assert statuses == {202}

            async def is_told() -> bool:
                async with session.get(f"{cluster.settings.training_url}/readyz") as response:
                    return response.status == 503

            await eventually(is_told, timeout_s=30)
            filler.unlink()
            # JetStream switches itself off on a full disk, until it starts anew.
            await cluster.kill("nats")
            await cluster.start_part("nats")
            await cluster.migrate()
            for run in await books.rows("training", "SELECT id FROM run"):
                await session.post(f"{cluster.gateway_url}/api/runs/{run[0]}:cancel")
            assert await settle(books) == []
            told = "SELECT count(*) FROM outbox WHERE subject = 'run.launched' AND published_at IS NOT NULL"
            assert await books.value("training", told) == LAUNCHES
        finally:
            await books.close()
            await cluster.stop()


async def test_a_database_without_room_refuses_and_loses_nothing(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    with small_disk(tmp_path / "postgres", 400):
        cluster = Cluster(tmp_path)
        await cluster.start()
        books = Books(cluster)
        try:
            _, dataset = await upload(session, cluster, "rows")
            await processed(session, cluster, dataset)
            filler = fill(tmp_path / "postgres")
            accepted = 0
            for number in range(5000):
                status = await launch(session, cluster, dataset, f"run {number}")
                assert status in (202, 503), status
                if status == 503:
                    break
                accepted += 1
            else:
                pytest.fail("the disk never was full")
            filler.unlink()
            if not cluster.is_running("postgres"):
                await cluster.start_part("postgres")

            async def is_accepted() -> bool:
                return await launch(session, cluster, dataset, "afterwards") == 202

            await eventually(is_accepted, timeout_s=30)
            names = [row[0] for row in await books.rows("training", "SELECT name FROM run WHERE name LIKE 'run %'")]
            # The one that was refused may be there or not; nobody was told that it is.
            assert set(names) >= {f"run {number}" for number in range(accepted)}
            assert len(names) == len(set(names)) <= accepted + 1
        finally:
            await books.close()
            await cluster.stop()


async def test_an_upload_that_cannot_be_processed_says_why_and_is_retried_later(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    scratch = tmp_path / "scratch"
    with small_disk(scratch, 64):
        cluster = Cluster(tmp_path, env={"datasets": {"TMPDIR": str(scratch)}})
        await cluster.start()
        try:
            # Python looks for another folder when the first is full from the start.
            _, first = await upload(session, cluster, "first")
            await processed(session, cluster, first)
            filler = fill(scratch)
            status, dataset = await upload(session, cluster, "rows", ROWS + "more,rows\n")
            assert status == 202
            url = f"{cluster.gateway_url}/api/datasets/{dataset}"

            async def failure() -> dict[str, Any] | None:
                async with session.get(url) as response:
                    found = await response.json()
                return found if found["status"] == "error" else None

            failed = await eventually(failure, timeout_s=90)
            assert failed["error"]["code"] == "disk_full"
            assert "retry" in failed["error"]["hint"]
            filler.unlink()
            async with session.post(f"{url}:retry", json={}) as response:
                assert response.status == 202
            await processed(session, cluster, dataset)
        finally:
            await cluster.stop()
