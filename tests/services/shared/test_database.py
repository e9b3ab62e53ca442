"""What the services make of a database that does not do what they ask in time."""

import pytest
from sqlalchemy import text

from slm_shared.errors import UnavailableError
from slm_shared.storage.database import Database

pytestmark = pytest.mark.containers


async def take_too_long(database: Database) -> None:
    """A statement that the server ends."""
    async with database.transaction() as session:
        await session.execute(text("SET LOCAL statement_timeout = 20"))
        await session.execute(text("SELECT pg_sleep(5)"))


async def test_a_statement_that_takes_too_long_is_one_for_later(database: Database) -> None:
    with pytest.raises(UnavailableError):
        await take_too_long(database)
