"""What an operator sees and does: what waits, what was given up, who did what."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from slm_shared.events.catalogue import DatasetDeleted
from slm_shared.http.provided import given
from slm_shared.identity.principal import Role
from slm_shared.settings import PlatformSettings
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_testing.apps import client_of, running
from slm_testing.databases import MakeDatabase
from slm_testing.events import EventLog
from slm_testing.waiting import eventually
from slm_training.app import create_app
from slm_training.settings import TrainingSettings

OPERATIONS = "/api/operations/training"
LETTERS = f"{OPERATIONS}/dead-letters"
CONSUMER = "training-dataset-deleted"


@pytest.fixture
async def client(
    platform_settings: PlatformSettings,
    principal_keys: Path,
    service_database: MakeDatabase,
    events: EventLog,
) -> AsyncIterator[httpx2.AsyncClient]:
    del events
    settings = TrainingSettings(port=0, database_name=await service_database("training"), platform=platform_settings)
    app = create_app(settings)
    async with running(app, principal_keys) as client:
        client.headers["X-Test"] = "operations"
        client.app = app  # type: ignore[attr-defined]  # for what no route tells
        yield client


async def give_up(client: httpx2.AsyncClient, body: dict[str, Any]) -> str:
    """A message that was given up, as the bus leaves it; its event id."""
    event_id = str(new_id())
    headers = {"ce-id": event_id, "ce-type": "dataset.deleted", "ce-source": "datasets", "ce-specversion": "1.0"}
    headers |= {"ce-subject": event_id, "ce-time": "2026-01-02T03:04:05Z", "Nats-Msg-Id": event_id}
    async with given(client.app, Database).connection() as connection:  # type: ignore[attr-defined]
        await connection.exec_driver_sql(
            "INSERT INTO dead_letter (consumer, event_id, subject, headers, body, error, deliveries)"
            " VALUES ($1, $2, 'dataset.deleted', $3, $4, 'it was not to be', 8)",
            (CONSUMER, event_id, json.dumps(headers), json.dumps(body).encode()),
        )
    return event_id


async def test_a_dead_letter_is_listed_and_handled_again(client: httpx2.AsyncClient) -> None:
    dataset_id = str(new_id())
    event_id = await give_up(client, {"dataset_id": dataset_id, "name": "gone-v1"})
    (letter,) = (await client.get(LETTERS)).json()
    assert (letter["event_id"], letter["error"], letter["deliveries"]) == (event_id, "it was not to be", 8)
    assert json.loads(letter["body"])["dataset_id"] == dataset_id
    assert (await client.get(OPERATIONS)).json()["dead_letters"] == 1
    assert (await client.post(f"{LETTERS}/{CONSUMER}/{event_id}:redrive")).status_code == 204
    assert (await client.get(LETTERS)).json() == []
    async with given(client.app, Database).connection() as connection:  # type: ignore[attr-defined]
        known = await connection.exec_driver_sql("SELECT id::text, deleted FROM dataset")
        assert [tuple(row) for row in known] == [(dataset_id, True)]
    again = await client.post(f"{LETTERS}/{CONSUMER}/{event_id}:redrive")
    assert (again.status_code, again.json()["code"]) == (404, "dead_letter_not_found")
    (entry,) = (await client.get(f"{OPERATIONS}/audit")).json()
    assert (entry["action"], entry["actor"], entry["object_id"]) == ("dead_letter.redriven", "tester", event_id)


async def test_a_dead_letter_that_cannot_be_handled_stays(client: httpx2.AsyncClient) -> None:
    event_id = await give_up(client, {"name": "without an id"})
    answer = await client.post(f"{LETTERS}/{CONSUMER}/{event_id}:redrive")
    assert (answer.status_code, answer.json()["code"]) == (409, "redrive_failed")
    assert "dataset_id" in answer.json()["detail"]
    assert len((await client.get(LETTERS)).json()) == 1
    assert (await client.delete(f"{LETTERS}/{CONSUMER}/{event_id}")).status_code == 204
    assert (await client.get(LETTERS)).json() == []
    assert [entry["action"] for entry in (await client.get(f"{OPERATIONS}/audit")).json()] == ["dead_letter.discarded"]
    assert (await client.get(f"{OPERATIONS}/audit:verify")).json() == {"is_whole": True, "first_broken": None}


async def test_a_consumer_says_what_it_has_not_handled(client: httpx2.AsyncClient, events: EventLog) -> None:
    handled = await events.publish(DatasetDeleted(dataset_id=new_id(), name="x-v1"))
    given_up, unknown = await give_up(client, {}), str(new_id())
    body = {"consumer": CONSUMER, "event_ids": [str(handled), given_up, unknown]}

    async def missing() -> list[str]:
        found: list[str] = (await client.post(f"{OPERATIONS}/inbox:missing", json=body)).json()["missing"]
        return found

    async def is_handled() -> bool:
        return await missing() == [unknown]

    assert await eventually(is_handled)


@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        (Role.VIEWER, OPERATIONS, 200),
        (Role.WORKER, OPERATIONS, 403),
        (Role.MEMBER, LETTERS, 403),
        (Role.MEMBER, f"{OPERATIONS}/audit", 403),
        (Role.ADMIN, f"{OPERATIONS}/audit", 200),
    ],
)
async def test_operations_are_for_administrators(
    client: httpx2.AsyncClient, principal_keys: Path, role: Role, path: str, status: int
) -> None:
    async with client_of(str(client.base_url), "training", principal_keys, role=role) as other:
        assert (await other.get(path)).status_code == status
