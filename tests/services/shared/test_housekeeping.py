"""What is old is forgotten, what is not is kept."""

from sqlalchemy import text

from slm_shared.storage import housekeeping
from slm_shared.storage.database import Database
from slm_shared.storage.housekeeping import Housekeeper


async def test_old_keys_and_handled_events_are_forgotten(database: Database) -> None:
    many = housekeeping.BATCH + 10
    async with database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO idempotency_key (principal, key, fingerprint, created_at)"
                " SELECT 'p', age || '-' || n, '', now() - age * interval '1 hour'"
                f" FROM unnest(ARRAY[71, 73]) age, generate_series(1, {many}) n"
            )
        )
        await session.execute(
            text(
                "INSERT INTO inbox (consumer, event_id, handled_at)"
                " SELECT 'c', gen_random_uuid(), now() - age * interval '1 day' FROM unnest(ARRAY[0, 29, 31]) age"
            )
        )
    assert await Housekeeper(database).clean() == many + 1
    async with database.read() as session:
        kept = (
            await session.execute(
                text("SELECT count(*), min(created_at) > now() - interval '72 hours' FROM idempotency_key")
            )
        ).one()
        assert tuple(kept) == (many, True)
        assert (await session.execute(text("SELECT count(*) FROM inbox"))).scalar_one() == 2
    assert await Housekeeper(database).clean() == 0
