"""Leases on a real database."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from slm_shared.jobs import leases
from slm_shared.jobs.leases import LeaseColumns
from slm_shared.settings import PlatformSettings
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_testing.databases import MakeDatabase

pytestmark = pytest.mark.containers


class Base(DeclarativeBase):
    pass


class JobRow(LeaseColumns, Base):
    __tablename__ = "job"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(default="queued")


@pytest.fixture
async def database(platform_settings: PlatformSettings, service_database: MakeDatabase) -> AsyncIterator[Database]:
    database = Database(
        platform_settings.database_url(await service_database("training")),
        answer_within_s=platform_settings.answer_within_s,
    )
    async with database.connection() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield database
    await database.close()


async def add_jobs(database: Database, count: int) -> None:
    async with database.transaction() as session:
        session.add_all(JobRow(id=new_id()) for _ in range(count))


async def claim(
    database: Database, *, claim_id: UUID | None = None, worker: str = "w", ttl_s: float = 60
) -> JobRow | None:
    async with database.transaction() as session:
        return await leases.claim(
            session,
            JobRow,
            where=JobRow.state == "queued",
            order_by=[JobRow.id.asc()],
            worker=worker,
            claim_id=claim_id or new_id(),
            ttl_s=ttl_s,
            values={"state": "leased"},
        )


async def test_fifty_claims_of_ten_jobs_give_ten_leases(database: Database) -> None:
    await add_jobs(database, 10)
    claimed = await asyncio.gather(*(claim(database) for _ in range(50)))
    keys = [job.id for job in claimed if job is not None]
    assert len(keys) == len(set(keys)) == 10


async def test_a_lost_reply_is_answered_with_the_same_lease(database: Database) -> None:
    await add_jobs(database, 2)
    claim_id = new_id()
    first, again = await claim(database, claim_id=claim_id), await claim(database, claim_id=claim_id)
    assert first is not None
    assert again is not None
    assert (first.id, first.epoch, again.epoch) == (again.id, 1, 1)


async def test_an_older_epoch_cannot_renew_or_write(database: Database) -> None:
    await add_jobs(database, 1)
    old = await claim(database)
    assert old is not None
    async with database.transaction() as session:
        await session.execute(update(JobRow).values(state="queued", **leases.released()))
    new = await claim(database)
    assert new is not None
    assert (old.epoch, new.epoch, new.attempt) == (1, 2, 2)
    async with database.transaction() as session:
        assert not await leases.renew(session, JobRow, old.id, epoch=old.epoch, ttl_s=60)
        assert await leases.renew(session, JobRow, new.id, epoch=new.epoch, ttl_s=60)
        written = await session.execute(
            update(JobRow).where(leases.held(JobRow, old.id, old.epoch)).values(state="done").returning(JobRow.id)
        )
        assert written.first() is None


async def test_only_leases_that_ran_out_expire(database: Database) -> None:
    await add_jobs(database, 2)
    live, dead = await claim(database), await claim(database, ttl_s=-1)
    assert live is not None
    assert dead is not None
    async with database.transaction() as session:
        rows = await leases.expired(session, JobRow, where=JobRow.state == "leased")
        assert [row.id for row in rows] == [dead.id]


async def test_a_restarted_worker_gives_up_what_it_held(database: Database) -> None:
    await add_jobs(database, 2)
    await claim(database, worker="trainer-1")
    await claim(database, worker="trainer-2")
    async with database.transaction() as session:
        rows = await leases.held_by(session, JobRow, worker="trainer-1")
        assert [row.worker for row in rows] == ["trainer-1"]


async def test_a_job_held_back_is_not_claimed_before_its_time(database: Database) -> None:
    await add_jobs(database, 1)
    async with database.transaction() as session:
        await session.execute(update(JobRow).values(retry_at=func.now() + func.make_interval(0, 0, 0, 0, 1)))
    assert await claim(database) is None
    async with database.transaction() as session:
        await session.execute(update(JobRow).values(retry_at=func.now()))
    assert await claim(database) is not None
    async with database.read() as session:
        assert (await session.scalars(select(JobRow.retry_at))).one() is None
