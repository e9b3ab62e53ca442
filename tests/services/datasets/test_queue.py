"""The work queue ends what fails unexpectedly, and goes on with the next row."""

import asyncio
from pathlib import Path

import pytest

from slm_datasets.app import create_app
from slm_datasets.background.queue import WorkQueue
from slm_datasets.schemas import Problem, ProblemLog
from slm_datasets.service import processing
from slm_datasets.settings import DatasetsSettings
from slm_datasets.tables import DatasetRow
from slm_shared.storage.database import Database
from slm_testing.apps import running
from tests.support.datasets import ended, upload


class Broken:
    """Work that the operating system does not allow."""

    name, kind = "broken", DatasetRow

    def __init__(self, database: Database) -> None:
        self._database = database
        self.attempts = 0

    async def do(self, row: DatasetRow, folder: Path) -> None:
        self.attempts += 1
        raise PermissionError(folder)

    async def fail(self, row: DatasetRow, problem: Problem, problems: ProblemLog | None) -> None:
        async with self._database.transaction() as session:
            await processing.fail(session, row, problem, problems)


@pytest.fixture
def idle_settings(datasets_settings: DatasetsSettings) -> DatasetsSettings:
    """A service that leaves its uploads to the queue of the test."""
    return datasets_settings.model_copy(update={"workers": 0, "examiners": 0})


async def test_an_error_of_the_operating_system_ends_the_work_after_three_attempts(
    idle_settings: DatasetsSettings, principal_keys: Path
) -> None:
    database = Database(idle_settings.database_url)
    work = Broken(database)
    async with running(create_app(idle_settings), principal_keys) as client:
        names = [(await upload(client, name=name)).json()["id"] for name in ("a.jsonl", "b.jsonl")]
        queue = WorkQueue(database, work, idle_settings, workers=1)
        running_queue = asyncio.create_task(queue.run())
        datasets = [await ended(client, name) for name in names]
        assert not running_queue.done()
        running_queue.cancel()
        await asyncio.wait([running_queue])
    await database.close()
    assert [(each["status"], each["error"]["code"]) for each in datasets] == [("error", "internal_error")] * 2
    assert work.attempts == 6
