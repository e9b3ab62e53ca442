"""Many rows, quickly: copies of a real one, made in the database of a running stack."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from slm_local.record import StackRecord


class Seeding:
    """The databases behind a stack whose data lies in `folder`."""

    def __init__(self, folder: Path, record: StackRecord) -> None:
        url = next(part.url for part in record.parts if part.name == "postgres")
        assert url is not None
        self._port = urlsplit(url).port
        self._password = (folder / "postgres" / "password").read_text().strip()

    async def copies(self, table: str, identity: str, *, count: int, changes: Mapping[str, str], database: str) -> None:
        """Add `count` copies of the row with that id; `changes` are SQL expressions by column, `n` counts from 1."""
        connection = await self._connect(database)
        try:
            found = await connection.fetch(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_schema = 'public' AND table_name = $1 AND is_generated = 'NEVER'",
                table,
            )
            columns = [row["column_name"] for row in found]
            values = [changes.get(name, f'one."{name}"') for name in columns]
            names = ", ".join(f'"{name}"' for name in columns)
            await connection.execute(
                f"INSERT INTO {table} ({names}) SELECT {', '.join(values)}"
                f" FROM {table} AS one, generate_series(1, {count}) AS n WHERE one.id = $1",
                identity,
            )
        finally:
            await connection.close()

    async def _connect(self, database: str) -> asyncpg.Connection:
        return await asyncpg.connect(
            host="127.0.0.1", port=self._port, user="slm", password=self._password, database=database
        )

    async def datasets(self, identity: str, *, count: int, **changes: str) -> None:
        """Copies of a dataset, each a family `<family>-copy-<n>`; they are found by the name of the original."""
        own = {
            "id": "gen_random_uuid()",
            "family": "one.family || '-copy-' || n",
            "version": "1",
            "name": "one.family || '-copy-' || n || '-v1'",
            "created_at": "one.created_at - n * interval '1 minute'",
        }
        await self.copies("dataset", identity, count=count, changes=own | changes, database="slm_datasets")

    async def experiments(self, run_id: str, *, count: int, **changes: str) -> None:
        """Copies of a run with its experiment."""
        own = {
            "id": "gen_random_uuid()",
            "experiment_id": "gen_random_uuid()",
            "name": "one.name || ' ' || n",
            "created_at": "one.created_at - n * interval '1 minute'",
        }
        await self.copies("run", run_id, count=count, changes=own | changes, database="slm_training")
