"""What must hold once a fault is over: checked in the databases, the object store, and through the API."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from slm_shared.events.topology import CONSUMERS, EVENTS, TRAINER_WAKE_UP
from slm_shared.migrate import database_name
from slm_shared.storage import manifest
from slm_shared.storage.manifest import ArtifactMismatchError
from slm_shared.storage.objects import ObjectStore
from tests.support.cluster import Cluster
from tests.support.load import Oracle

SERVICES = ("datasets", "training", "registry", "evaluation")
SETTLE_S = 120.0
POLL_S = 0.2
TERMINAL = "('succeeded', 'failed', 'cancelled', 'dead_letter')"


@dataclass
class Verdict:
    """What was found: writes that are gone, effects that happened twice, and everything else that is wrong."""

    lost: int = 0
    duplicated: int = 0
    accepted_zombies: int = 0
    wrong: list[str] = field(default_factory=list)


class Books:
    """The databases of all services, read directly; from `open` on, only what came after it.

    A connection of its own for each query: the server may have been killed since the last.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._engines: dict[str, AsyncEngine] = {
            name: create_async_engine(cluster.settings.database_url(database_name(name)), poolclass=NullPool)
            for name in SERVICES
        }
        self._begins = dict.fromkeys(SERVICES, 0)

    async def open(self) -> None:
        """Note the last event of each service: what came before was examined before."""
        for service in SERVICES:
            self._begins[service] = await self.value(service, "SELECT coalesce(max(position), 0) FROM outbox")

    async def told(self, service: str, subject: str) -> list[str]:
        """The identifiers of a service's events of one kind."""
        query = "SELECT event_id::text FROM outbox WHERE subject = :subject AND position > :begin"
        return [row[0] for row in await self.rows(service, query, subject=subject, begin=self._begins[service])]

    async def rows(self, service: str, query: str, **values: Any) -> list[Any]:
        """The rows of a query."""
        async with self._engines[service].connect() as connection:
            return list((await connection.execute(text(query), values)).all())

    async def value(self, service: str, query: str, **values: Any) -> Any:
        """The one value of a query."""
        return (await self.rows(service, query, **values))[0][0]

    async def close(self) -> None:
        """Close the connections."""
        for engine in self._engines.values():
            await engine.dispose()


async def settle(books: Books) -> list[str]:
    """Wait until nothing is on its way any more; gives what still is after two minutes."""
    deadline = asyncio.get_running_loop().time() + SETTLE_S
    while waiting := await _waiting(books):
        if asyncio.get_running_loop().time() > deadline:
            return waiting
        await asyncio.sleep(POLL_S)
    return []


async def _waiting(books: Books) -> list[str]:
    found = []
    for service in SERVICES:
        if count := await books.value(service, "SELECT count(*) FROM outbox WHERE published_at IS NULL"):
            found.append(f"{count} events of {service} are not published")
    if count := await books.value("training", f"SELECT count(*) FROM run WHERE state NOT IN {TERMINAL}"):
        found.append(f"{count} runs have not ended")
    if count := await books.value("datasets", "SELECT count(*) FROM dataset WHERE status = 'in_progress'"):
        found.append(f"{count} datasets are not processed")
    for consumer in CONSUMERS:
        if consumer.stream != EVENTS or consumer.durable == TRAINER_WAKE_UP:
            continue
        if missing := await _missing(books, consumer):
            found.append(f"{len(missing)} events have not reached {consumer.durable}")
    return found


async def _missing(books: Books, consumer: Any) -> set[str]:
    owner = {
        "dataset": "datasets",
        "run": "training",
        "experiment": "training",
        "model": "registry",
        "evaluation": "evaluation",
    }
    source = owner[consumer.subject.partition(".")[0]]
    told = await books.told(source, consumer.subject)
    missing = set(told)
    for table, kind in (("inbox", "uuid"), ("dead_letter", "text")):  # our own two tables
        query = (
            f"SELECT event_id::text FROM {table} WHERE consumer = :consumer AND event_id = ANY(CAST(:told AS {kind}[]))"
        )
        known = await books.rows(consumer.service, query, consumer=consumer.durable, told=told)
        missing -= {row[0] for row in known}
    return missing


async def examine(cluster: Cluster, books: Books, oracle: Oracle, completed: list[tuple[str, int]]) -> Verdict:
    """Check every invariant, once everything is settled. `completed`: run and epoch of each accepted completion."""
    verdict = Verdict(wrong=list(oracle.wrong))
    await _no_zombie_was_heard(books, completed, verdict)
    await _every_write_is_there(books, oracle, verdict)
    await _nothing_happened_twice(books, verdict)
    await _every_success_is_whole(cluster, books, oracle, verdict)
    for service in SERVICES:
        if count := await books.value(service, "SELECT count(*) FROM dead_letter"):
            verdict.wrong.append(f"{service} has {count} dead letters")
    async with aiohttp.ClientSession() as session:
        for service in SERVICES:
            async with session.get(f"{cluster.gateway_url}/api/operations/{service}/audit:verify") as response:
                if await response.json() != {"is_whole": True, "first_broken": None}:
                    verdict.wrong.append(f"the audit log of {service} is broken: {await response.text()}")
    return verdict


async def _every_write_is_there(books: Books, oracle: Oracle, verdict: Verdict) -> None:
    """I1: every acknowledged write can be read, as what it was."""
    runs = {str(row[0]): row[1] for row in await books.rows("training", "SELECT id, state FROM run")}
    lost = set(oracle.launched) - set(runs)
    lost |= {each for each in oracle.cancelled if runs.get(each) not in ("cancelled", None)}
    states = {str(row[0]): row[1] for row in await books.rows("datasets", "SELECT id, status FROM dataset")}
    lost |= oracle.uploaded - set(states)
    lost |= {each for each in oracle.deleted if states.get(each) != "deleted"}
    broken = {each for each in oracle.uploaded - oracle.deleted if states.get(each) == "error"}
    verdict.lost += len(lost)
    verdict.wrong += [f"lost or undone: {sorted(lost)[:5]}"] if lost else []
    verdict.wrong += [f"datasets in error: {sorted(broken)[:5]}"] if broken else []


async def _no_zombie_was_heard(books: Books, completed: list[tuple[str, int]], verdict: Verdict) -> None:
    """I3: whoever was told that its run is complete held the last lease of it."""
    rows = await books.rows("training", "SELECT id::text, epoch FROM run WHERE state = 'succeeded'")
    heard = set(completed) - {(row[0], row[1]) for row in rows}
    verdict.accepted_zombies = len(heard)
    verdict.wrong += [f"completed under an older lease: {sorted(heard)[:5]}"] if heard else []


async def _nothing_happened_twice(books: Books, verdict: Verdict) -> None:
    """I2 and I3: one run per launch, one success per run, one model per success."""
    names = "SELECT name, count(*) FROM run GROUP BY name HAVING count(*) > 1"
    completed = (
        "SELECT aggregate_id, count(*) FROM outbox WHERE subject = 'experiment.completed'"
        " GROUP BY aggregate_id HAVING count(*) > 1"
    )
    twice = [*await books.rows("training", names), *await books.rows("training", completed)]
    verdict.duplicated += len(twice)
    verdict.wrong += [f"happened twice: {twice[:5]}"] if twice else []
    stale = "SELECT id FROM run WHERE state = 'succeeded' AND result->>'prefix' <> format('runs/%s/e%s', id, epoch)"
    if rows := await books.rows("training", stale):
        verdict.wrong.append(f"succeeded with the artifact of an older lease: {rows[:5]}")
    experiments = await books.rows("training", "SELECT experiment_id FROM run WHERE state = 'succeeded'")
    registered = await books.rows("registry", "SELECT experiment_id FROM model WHERE kind <> 'base'")
    models = Counter(row[0] for row in registered)
    if set(models) != {row[0] for row in experiments} or any(count > 1 for count in models.values()):
        verdict.wrong.append(f"{len(experiments)} successes, {sum(models.values())} models")
    versions = await books.rows(
        "registry", "SELECT family, count(*), max(version) FROM model GROUP BY family HAVING count(*) <> max(version)"
    )
    verdict.wrong += [f"versions have gaps: {versions}"] if versions else []


async def _every_success_is_whole(cluster: Cluster, books: Books, oracle: Oracle, verdict: Verdict) -> None:
    """I6: what was committed can be read back and matches."""
    store = ObjectStore(cluster.settings)
    query = (
        "SELECT result->>'prefix', result->>'manifest_sha256' FROM run"
        " WHERE state = 'succeeded' AND id = ANY(CAST(:launched AS uuid[]))"
    )
    for prefix, sha256 in await books.rows("training", query, launched=list(oracle.launched)):
        try:
            await manifest.verify(store, prefix, sha256)
        except ArtifactMismatchError as error:
            verdict.wrong.append(f"{prefix}: {error.message}")
