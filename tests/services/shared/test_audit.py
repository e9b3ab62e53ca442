"""The audit log: one unbroken chain, refused changes, and changes that were forced in anyway are found."""

import asyncio

import pytest
from sqlalchemy.exc import DBAPIError

from slm_shared.storage import audit
from slm_shared.storage.database import Database


async def note(database: Database, number: int) -> None:
    async with database.transaction() as session:
        await audit.append(session, "run.launched", actor="somebody", object_id=number, name=f"Run {number}")


async def broken(database: Database) -> int | None:
    async with database.read() as session:
        return await audit.first_broken(session)


async def force(database: Database, statement: str) -> None:
    """What somebody does who owns the database."""
    async with database.connection() as connection:
        await connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        await connection.exec_driver_sql(statement)


async def test_numbers_have_no_gaps_under_concurrency(database: Database) -> None:
    assert await broken(database) is None
    await asyncio.gather(*(note(database, number) for number in range(20)))
    async with database.read() as session:
        entries = await audit.entries(session, before=None, limit=100)
        older = await audit.entries(session, before=5, limit=2)
    assert [entry.seq for entry in entries] == list(range(20, 0, -1))
    assert [entry.seq for entry in older] == [4, 3]
    assert {entry.details["name"] for entry in entries} == {f"Run {number}" for number in range(20)}
    assert await broken(database) is None


async def test_a_change_that_is_rolled_back_leaves_no_entry(database: Database) -> None:
    await note(database, 1)

    async def change_my_mind() -> None:
        async with database.transaction() as session:
            await audit.append(session, "run.launched", actor="somebody", object_id=2)
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError):
        await change_my_mind()
    await note(database, 3)
    assert await broken(database) is None
    async with database.read() as session:
        assert [entry.object_id for entry in await audit.entries(session, before=None, limit=100)] == ["3", "1"]


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", "TRUNCATE audit"])
async def test_the_log_is_only_added_to(database: Database, statement: str) -> None:
    await note(database, 1)
    with pytest.raises(DBAPIError, match="only ever added to"):
        async with database.connection() as connection:
            await connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("statement", "first"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE seq = 3", 3),
        ("UPDATE audit SET details = '{}' WHERE seq = 5", 5),
        ("UPDATE audit SET at = at + interval '1 microsecond' WHERE seq = 2", 2),
        ("DELETE FROM audit WHERE seq = 4", 5),
        ("DELETE FROM audit WHERE seq > 4", 5),
        ("DELETE FROM audit WHERE seq = 1", 2),
        ("TRUNCATE audit", 1),
        ("UPDATE audit SET seq = CASE seq WHEN 2 THEN 3 ELSE 2 END WHERE seq IN (2, 3)", 2),
    ],
)
async def test_what_was_forced_in_is_found(database: Database, statement: str, first: int) -> None:
    for number in range(6):
        await note(database, number)
    assert await broken(database) is None
    if "CASE" in statement:
        await force(database, "ALTER TABLE audit DROP CONSTRAINT audit_pkey")
    await force(database, statement)
    assert await broken(database) == first
