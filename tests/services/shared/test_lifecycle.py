"""Leased work in two tables, from its rows to a worker, over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from slm_shared.errors import NotFoundError
from slm_shared.http.app import create_app
from slm_shared.identity.principal import Role
from slm_shared.jobs import leases
from slm_shared.jobs.leases import LeaseColumns
from slm_shared.jobs.lifecycle import LeasedWork, Queue
from slm_shared.jobs.protocol import Claim, Failure, Fenced, Grant, Heartbeat, HeartbeatAnswer
from slm_shared.jobs.routes import lease_routes
from slm_shared.settings import PlatformSettings, ServiceSettings
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_testing.apps import running
from slm_testing.databases import MakeDatabase

PATH = "/api/print-leases"


class Base(DeclarativeBase):
    pass


class PrintColumns(LeaseColumns):
    id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(default="queued")
    note: Mapped[str] = mapped_column(default="")


class ProofRow(PrintColumns, Base):
    __tablename__ = "proof"


class PrintRow(PrintColumns, Base):
    __tablename__ = "print"


Row = ProofRow | PrintRow


class PrintLease(Grant):
    id_field: ClassVar[str] = "print_id"

    print_id: UUID
    table: str


class Printed(Fenced):
    pages: int


class LeasedPrints(LeasedWork[Row, Claim, PrintLease, Printed]):
    """Proofs go before prints."""

    def __init__(self, database: Database) -> None:
        super().__init__({kind: kind.state == "running" for kind in (ProofRow, PrintRow)}, lease_ttl_s=60)
        self._database = database

    def missing(self) -> NotFoundError:
        return NotFoundError("There is no such print.")

    def queues(self, claim: Claim) -> Sequence[Queue[Row]]:
        return [
            Queue(kind, where=kind.state == "queued", order_by=[kind.id.asc()], values={"state": "running"})
            for kind in (ProofRow, PrintRow)
        ]

    async def grant(self, session: AsyncSession, row: Row) -> PrintLease:
        times = {"epoch": row.epoch, "attempt": row.attempt, "lease_ttl_s": 60, "heartbeat_s": 5}
        if row.note == "torn":
            return PrintLease.model_validate({"print_id": row.id})
        return PrintLease.model_validate({"print_id": row.id, "table": row.__tablename__, **times})

    async def kept(self, session: AsyncSession, row: Row, beat: Heartbeat) -> HeartbeatAnswer:
        return HeartbeatAnswer(drain=beat.step > 10)

    async def give_back(self, session: AsyncSession, row: Row) -> None:
        await self._end(session, row, "queued", "given back")

    async def end_badly(self, session: AsyncSession, row: Row, failure: Failure) -> None:
        await self._end(session, row, "queued" if failure.retry else "failed", failure.code)

    async def complete(self, work_id: UUID, completion: Printed) -> None:
        async with self._database.transaction() as session:
            row = await self.held(session, work_id, completion.epoch)
            await self._end(session, row, "done", f"{completion.pages} pages")

    async def _end(self, session: AsyncSession, row: Row, state: str, note: str) -> None:
        values = {"state": state, "note": note, **leases.released()}
        await session.execute(update(type(row)).where(type(row).id == row.id).values(**values))


class Press:
    """The running service, as a worker sees it."""

    def __init__(self, client: httpx2.AsyncClient, database: Database, leased: LeasedPrints) -> None:
        self.client = client
        self.database = database
        self.leased = leased

    async def add(self, kind: type[Row]) -> UUID:
        async with self.database.transaction() as session:
            row = kind(id=new_id())
            session.add(row)
            return row.id

    async def claim(self, **fields: object) -> httpx2.Response:
        body = {"worker": "press-1", "claim_id": str(new_id()), **fields}
        return await self.client.post(f"{PATH}:claim", json=body)

    async def say(self, print_id: object, verb: str, **body: object) -> tuple[int, str]:
        answer = await self.client.post(f"{PATH}/{print_id}:{verb}", json=body)
        return answer.status_code, answer.json().get("code", "") if answer.content else ""

    async def state(self, kind: type[PrintColumns], print_id: UUID) -> tuple[str, str]:
        async with self.database.read() as session:
            row = await session.scalar(select(kind).where(kind.id == print_id))
        assert row is not None
        return row.state, row.note


@pytest.fixture
async def press(
    platform_settings: PlatformSettings, principal_keys: Path, service_database: MakeDatabase
) -> AsyncIterator[Press]:
    name = await service_database("training")
    database = Database(platform_settings.database_url(name), answer_within_s=platform_settings.answer_within_s)
    async with database.connection() as connection:
        await connection.run_sync(Base.metadata.create_all)
    leased = LeasedPrints(database)
    app = create_app(
        service="training",
        title="Press",
        description="Prints.",
        settings=ServiceSettings(port=0, database_name=name, platform=platform_settings),
        database=database,
        routers=[lease_routes(PATH, leased, claims=Claim, completions=Printed)],
    )
    async with running(app, principal_keys, role=Role.WORKER, subject="press-1") as client:
        yield Press(client, database, leased)


async def test_a_print_is_claimed_kept_and_completed(press: Press) -> None:
    assert (await press.claim()).status_code == 204
    print_id = await press.add(PrintRow)
    lease = (await press.claim()).json()
    assert (lease["print_id"], lease["table"], lease["epoch"], lease["attempt"]) == (str(print_id), "print", 1, 1)
    assert await press.say(print_id, "start", epoch=1) == (204, "")
    beat = await press.client.post(f"{PATH}/{print_id}:heartbeat", json={"epoch": 1, "step": 11})
    assert beat.json() == {"cancel": False, "drain": True}
    assert await press.say(print_id, "complete", epoch=1, pages=3) == (204, "")
    assert await press.state(PrintRow, print_id) == ("done", "3 pages")


async def test_a_claim_that_is_repeated_gets_the_same_lease_though_a_proof_has_come(press: Press) -> None:
    print_id, claim_id = await press.add(PrintRow), str(new_id())
    first = (await press.claim(claim_id=claim_id)).json()
    proof_id = await press.add(ProofRow)
    assert (await press.claim(claim_id=claim_id)).json() == first
    assert first["print_id"] == str(print_id)
    assert (await press.claim()).json()["print_id"] == str(proof_id)


async def test_only_the_newest_lease_is_heard(press: Press) -> None:
    print_id = await press.add(ProofRow)
    await press.claim()
    assert await press.say(print_id, "release", epoch=1) == (204, "")
    await press.claim()
    said: dict[str, dict[str, object]] = {"start": {}, "heartbeat": {}, "complete": {"pages": 1}, "release": {}}
    said["fail"] = {"code": "broke", "message": "It broke.", "blame": "infra"}
    for verb, body in said.items():
        assert await press.say(print_id, verb, epoch=1, **body) == (409, "lease_lost")
    assert await press.say(new_id(), "start", epoch=1) == (404, "not_found")
    assert (await press.state(ProofRow, print_id))[0] == "running"


async def test_the_body_of_a_claim_and_a_completion_are_the_services_own(press: Press) -> None:
    print_id = await press.add(PrintRow)
    assert (await press.claim(color="red")).status_code == 422
    await press.claim()
    assert (await press.say(print_id, "complete", epoch=1))[0] == 422


async def test_a_failure_is_judged_by_the_service(press: Press) -> None:
    print_id = await press.add(PrintRow)
    failure = {"code": "paper_jam", "message": "No.", "blame": "infra"}
    await press.claim()
    await press.say(print_id, "fail", epoch=1, **failure, retry=True)
    assert await press.state(PrintRow, print_id) == ("queued", "paper_jam")
    await press.claim()
    await press.say(print_id, "fail", epoch=2, **failure)
    assert await press.state(PrintRow, print_id) == ("failed", "paper_jam")


async def test_what_a_worker_lost_is_queued_again(press: Press) -> None:
    forgotten, late = await press.add(ProofRow), await press.add(PrintRow)
    await press.claim()
    await press.claim(worker="press-2")
    assert (await press.client.post(f"{PATH}:forget", json={"worker": "press-1"})).status_code == 204
    assert await press.state(ProofRow, forgotten) == ("queued", "worker_lost")
    async with press.database.transaction() as session:
        await session.execute(update(PrintRow).values(lease_expires_at=func.now() - func.make_interval(0, 0, 0, 0, 1)))
        assert await press.leased.reap(session) == 1
    assert await press.state(PrintRow, late) == ("queued", "worker_lost")


async def test_a_row_that_cannot_be_read_fails_and_holds_nobody_up(press: Press) -> None:
    torn, whole = await press.add(PrintRow), await press.add(PrintRow)
    async with press.database.transaction() as session:
        await session.execute(update(PrintRow).where(PrintRow.id == torn).values(note="torn"))
    assert (await press.claim()).status_code == 204
    assert await press.state(PrintRow, torn) == ("failed", "not_readable")
    assert (await press.claim()).json()["print_id"] == str(whole)


async def test_ten_workers_share_one_print(press: Press) -> None:
    await press.add(PrintRow)
    answers = await asyncio.gather(*(press.claim(worker=f"press-{number}") for number in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200, *[204] * 9]
