"""Load for fault tests: clients that write through the gateway and workers that hold leases, and an oracle that
remembers every write the platform acknowledged."""

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from slm_shared.errors import UnavailableError
from slm_shared.identity.principal import Principal, Role
from slm_shared.jobs.client import (
    JobFailedError,
    Lease,
    LeaseClient,
    LeaseLostError,
    NoContactError,
    RefusedError,
    persist,
)
from slm_shared.peers import Peer
from slm_shared.settings import PlatformSettings
from slm_shared.storage import manifest
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore
from slm_training.schemas.leases import Checkpoint, Completion, Resumption, RunLease

ANSWER_TIMEOUT_S = 10.0
RETRY_S = 0.1
GIVE_UP_S = 60.0
# The share of leases whose holder falls silent.
ZOMBIES = 0.06
ROWS = "prompt,completion\n" + "".join(f"p{n},c{n}\n" for n in range(5))
# What a user must never be shown; the last begins every database address.
SECRETS = ("Traceback", "asyncpg", "sqlalchemy", "postgresql+")


@dataclass
class Oracle:
    """Every acknowledged write, in a file and by kind; and whatever should never have been answered."""

    path: Path
    launched: dict[str, str] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    uploaded: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    slowest_s: float = 0.0

    @property
    def count(self) -> int:
        """Acknowledged writes so far."""
        return len(self.times)

    def note(self, kind: str, key: str, value: str = "") -> None:
        """A write was acknowledged."""
        with self.path.open("a") as file:
            file.write(json.dumps([kind, key, value]) + "\n")
        if kind == "launched":
            self.launched[key] = value
        else:
            getattr(self, kind).add(key)
        self.times.append(time.monotonic())

    async def reach(self, count: int) -> None:
        """Return once so many writes were acknowledged."""
        while self.count < count:  # noqa: ASYNC110  they are counted at many places
            await asyncio.sleep(0.02)

    def first_after(self, moment: float) -> float | None:
        """Seconds from a moment to the first write acknowledged after it."""
        return next((at - moment for at in self.times if at >= moment), None)

    def observe(self, status: int, body: bytes) -> None:
        """Note what was answered; only 503 and 507 may be the platform's own fault, and no answer tells its insides."""
        self.statuses[status] += 1
        if status >= 500 and status not in (503, 507):
            self.wrong.append(f"{status}: {body[:200]!r}")
        if any(secret.encode() in body for secret in SECRETS):
            self.wrong.append(f"an answer tells of the insides: {body[:200]!r}")


class Client:
    """One client that launches and cancels runs and now and then uploads or deletes a dataset."""

    def __init__(self, gateway_url: str, oracle: Oracle, *, name: str, seed: str, dataset: str) -> None:
        self._url = gateway_url
        self._oracle = oracle
        self._name = name
        self._chance = random.Random(seed)
        self._dataset = dataset
        self._number = 0
        self._mine: list[str] = []

    async def work(self, stop: asyncio.Event) -> None:
        """Write until told to stop."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while not stop.is_set():
                self._number += 1
                if self._number % 60 == 0:
                    await self._upload_or_delete(session)
                else:
                    await self._launch(session)

    async def _launch(self, session: aiohttp.ClientSession) -> None:
        name = f"{self._name}-{self._number}"
        status, body = await self._post(session, "/api/runs", {"name": name, "training_dataset": self._dataset})
        if status != 202:
            return
        self._oracle.note("launched", body["id"], name)
        if self._chance.random() < 0.8:
            status, _ = await self._post(session, f"/api/runs/{body['id']}:cancel", None)
            if status == 202:
                self._oracle.note("cancelled", body["id"])

    async def _upload_or_delete(self, session: aiohttp.ClientSession) -> None:
        if self._mine and self._chance.random() < 0.3:
            dataset = self._mine.pop()
            if await self._delete(session, dataset) in (204, 404):
                self._oracle.note("deleted", dataset)
            return
        form = {"name": f"{self._name}-{self._number}"}
        status, body = await self._post(session, "/api/datasets", form, file=True)
        if status == 202:
            self._oracle.note("uploaded", body["id"])
            self._mine.append(body["id"])

    async def _delete(self, session: aiohttp.ClientSession, dataset: str) -> int:
        status, _ = await self._until_answered(
            lambda: session.delete(f"{self._url}/api/datasets/{dataset}"), again={409, 503}
        )
        return status

    async def _post(
        self, session: aiohttp.ClientSession, path: str, body: dict[str, Any] | None, *, file: bool = False
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Idempotency-Key": str(new_id())}

        def send() -> Any:
            if file:
                form = aiohttp.FormData(body or {})
                form.add_field("file", ROWS.encode(), filename="rows.csv")
                return session.post(self._url + path, data=form, headers=headers)
            return session.post(self._url + path, json=body, headers=headers)

        return await self._until_answered(send, again={503, 507})

    async def _until_answered(self, send: Any, *, again: set[int]) -> tuple[int, dict[str, Any]]:
        """Send the same request until it is answered for good, as every careful client does."""
        deadline = time.monotonic() + GIVE_UP_S
        while time.monotonic() < deadline:
            begun = time.monotonic()
            try:
                async with send() as response:
                    body = await response.read()
            except (aiohttp.ClientError, TimeoutError, OSError):
                await asyncio.sleep(RETRY_S)
                continue
            self._oracle.slowest_s = max(self._oracle.slowest_s, time.monotonic() - begun)
            self._oracle.observe(response.status, body)
            if response.status not in again and not _in_flight(response.status, body):
                return response.status, json.loads(body) if body else {}
            await asyncio.sleep(RETRY_S)
        return 0, {}


def _in_flight(status: int, body: bytes) -> bool:
    return status == 409 and b"request_in_flight" in body


class LoadWorker:
    """Holds leases as a trainer does, but trains nothing: it stores a few bytes and says that it is done.

    Now and then it falls silent for longer than its lease lives and then goes on all the same, as a stopped process
    does that comes back: `refused_zombies` counts how often it was not heard, `heard_zombies` has what was heard.
    """

    def __init__(self, settings: PlatformSettings, folder: Path, *, name: str, seed: str) -> None:
        peer = Peer(settings, service="training", principal=Principal(name, Role.WORKER))
        self._peer = peer
        self._leases = LeaseClient(peer, path="/api/leases", grant=RunLease, worker=name, pool="default")
        self._store = ObjectStore(settings)
        self._folder = folder / name
        self._chance = random.Random(seed)
        # Run and epoch of every completion that was acknowledged.
        self.completed: list[tuple[str, int]] = []
        self.refused_zombies = 0
        self.heard_zombies: list[tuple[str, int]] = []

    async def work(self, stop: asyncio.Event) -> None:
        """Serve leases until told to stop."""
        while not stop.is_set():
            try:
                lease = await self._leases.claim()
            except UnavailableError:
                lease = None
            if lease is not None:
                await self._serve(lease)
            else:
                await asyncio.sleep(RETRY_S)
        await self._peer.close()

    async def _serve(self, lease: Lease[RunLease]) -> None:
        try:
            await persist(lambda: self._leases.start(lease), within_s=GIVE_UP_S, what="start")
            facts = await persist(lambda: self._store_artifact(lease), within_s=GIVE_UP_S, what="artifact")
            if self._chance.random() < ZOMBIES:
                await asyncio.sleep(lease.lease_ttl_s * 1.8)
                await self._come_back(lease, facts)
            await persist(lambda: self._leases.complete(lease, facts), within_s=GIVE_UP_S, what="complete")
            self.completed.append((lease.key, lease.epoch))
        except LeaseLostError:
            self.refused_zombies += 1
            await self._let_go(lease)
        except (NoContactError, RefusedError):
            await self._let_go(lease)

    async def _come_back(self, lease: Lease[RunLease], facts: Completion) -> None:
        """Say everything that the holder of a lease may say; where the lease is lost, nothing of it may be heard."""
        failure = JobFailedError("training_error", "It broke.", blame="system", retry=True)
        checkpoint = Checkpoint(epoch=lease.epoch, step=1, manifest_sha256=facts.manifest_sha256, size_bytes=1)
        try:
            await persist(lambda: self._leases.heartbeat(lease), within_s=GIVE_UP_S, what="heartbeat")
        except LeaseLostError:
            self.refused_zombies += 1
        else:
            return
        for say in (
            lambda: self._leases.start(lease),
            lambda: self._leases.tell(lease, "checkpoint", checkpoint),
            lambda: self._leases.tell(lease, "resume", Resumption(epoch=lease.epoch, step=1)),
            lambda: self._leases.fail(lease, failure),
        ):
            try:
                await persist(say, within_s=GIVE_UP_S, what="zombie")
                self.heard_zombies.append((lease.key, lease.epoch))
            except LeaseLostError:
                self.refused_zombies += 1

    async def _let_go(self, lease: Lease[RunLease]) -> None:
        # A run that is being cancelled waits for its worker.
        try:
            await persist(lambda: self._leases.release(lease), within_s=GIVE_UP_S, what="release")
        except (LeaseLostError, NoContactError, RefusedError):
            return

    async def _store_artifact(self, lease: Lease[RunLease]) -> Completion:
        folder = self._folder / f"{lease.key}-{lease.epoch}"
        write_small_artifact(folder)
        prefix = lease.grant.artifact_prefix
        files = await manifest.upload(self._store, folder, prefix)
        return Completion(
            epoch=lease.epoch,
            manifest_key=f"{prefix}/{manifest.MANIFEST_NAME}",
            manifest_sha256=files.sha256,
            size_bytes=files.size_bytes,
            parameter_count=1,
            steps=1,
            train_loss=1.0,
            duration_s=0.1,
        )


def write_small_artifact(folder: Path) -> None:
    """One file, different for each lease."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_text(folder.name)
