"""The live feed on a real stream."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest

from slm_gateway.app import create_app
from slm_gateway.service.live_feed import LiveFeed
from slm_gateway.settings import GatewaySettings
from slm_shared.delivery.broker import Broker
from slm_shared.events.catalogue import DatasetDeleted, ExperimentCancelled
from slm_shared.events.topology import EVENTS, migrate_topology
from slm_shared.settings import PlatformSettings
from slm_shared.storage.ids import new_id
from slm_testing.apps import serving
from slm_testing.events import EventLog
from slm_testing.waiting import eventually
from tests.support.nats_server import own_nats


@pytest.fixture
async def client(
    platform_settings: PlatformSettings, principal_keys: Path, events: EventLog
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a gateway on the test's own stream."""
    platform = platform_settings.model_copy(update={"signing_key": principal_keys / "gateway.json"})
    app = create_app(GatewaySettings(platform=platform, port=0, max_live_readers=3))
    async with serving(app) as address, httpx2.AsyncClient(base_url=address, timeout=20) as http:
        yield http


def deleted(name: str) -> DatasetDeleted:
    return DatasetDeleted(dataset_id=new_id(), name=name)


def cancelled() -> ExperimentCancelled:
    return ExperimentCancelled(experiment_id=new_id(), run_id=new_id())


async def take(answer: httpx2.Response, count: int) -> list[httpx2.ServerSentEvent]:
    """The next events of an open feed, without the one that only names the position."""
    taken: list[httpx2.ServerSentEvent] = []
    async with asyncio.timeout(15):
        async for event in httpx2.EventSource(answer):
            if event.data:
                taken.append(event)
            if len(taken) == count:
                break
    return taken


async def past(client: httpx2.AsyncClient, **params: str) -> list[httpx2.ServerSentEvent]:
    """All events there are."""
    async with client.stream("GET", "/api/events", params={"follow": "false", **params}) as answer:
        return [event async for event in httpx2.EventSource(answer) if event.data]


async def test_events_arrive_as_they_happen(client: httpx2.AsyncClient, events: EventLog) -> None:
    await events.publish(deleted("before"))
    async with client.stream("GET", "/api/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        event_id = await events.publish(deleted("commands-v1"))
        (seen,) = await take(answer, 1)
    body = json.loads(seen.data)
    assert (seen.event, body["id"], body["data"]["name"]) == ("dataset.deleted", str(event_id), "commands-v1")
    assert body["time"].endswith("Z")


async def test_reader_continues_behind_the_last_event_it_saw(client: httpx2.AsyncClient, events: EventLog) -> None:
    for name in "abcde":
        await events.publish(deleted(name))
    everything = await past(client)
    async with client.stream("GET", "/api/events", headers={"Last-Event-ID": everything[1].id}) as answer:
        replayed = await take(answer, 3)
        await events.publish(deleted("f"))
    assert [json.loads(event.data)["data"]["name"] for event in replayed] == ["c", "d", "e"]
    assert [int(event.id) for event in replayed] == [int(everything[1].id) + n for n in (1, 2, 3)]


async def test_reader_of_a_stream_that_is_gone_starts_over(client: httpx2.AsyncClient, events: EventLog) -> None:
    await events.publish(deleted("a"))
    async with client.stream("GET", "/api/events", headers={"Last-Event-ID": "9" * 19}) as answer:
        (seen,) = await take(answer, 1)
    assert json.loads(seen.data)["data"]["name"] == "a"


async def test_types_choose_events(client: httpx2.AsyncClient, events: EventLog) -> None:
    for _ in range(3):
        await events.publish(deleted("x"))
        await events.publish(cancelled())
    chosen = await past(client, types="experiment.cancelled, run.launched")
    assert [event.event for event in chosen] == ["experiment.cancelled"] * 3
    assert len(await past(client)) == 6


async def test_past_events_end_also_when_there_are_none(client: httpx2.AsyncClient) -> None:
    assert await past(client) == []


async def test_many_past_events_come_in_order(client: httpx2.AsyncClient, events: EventLog) -> None:
    await asyncio.gather(*(events.publish(deleted(str(n))) for n in range(300)))
    sequences = [int(event.id) for event in await past(client)]
    assert sequences == list(range(sequences[0], sequences[0] + 300))


async def test_readers_that_leave_are_forgotten(
    client: httpx2.AsyncClient, platform_settings: PlatformSettings
) -> None:
    broker = Broker(platform_settings.nats_url, name="test")
    jetstream = await broker.jetstream()

    async def short_lived() -> list[str]:
        return [each.name for each in await jetstream.consumers_info(EVENTS) if not each.config.durable_name]

    async def none_left() -> bool:
        return not await short_lived()

    for _ in range(5):
        async with client.stream("GET", "/api/events") as answer:
            assert answer.status_code == 200
            await eventually(short_lived)
        await eventually(none_left)
    await broker.close()


async def test_too_many_readers_are_told_to_come_later(client: httpx2.AsyncClient) -> None:
    async def refused() -> httpx2.Response | None:
        answer = await client.get("/api/events?follow=false")
        return answer if answer.status_code == 503 else None

    async def welcome() -> bool:
        return bool((await client.get("/api/events?follow=false")).status_code == 200)

    async with AsyncExitStack() as opened:
        for _ in range(3):
            await opened.enter_async_context(client.stream("GET", "/api/events"))
        assert (await eventually(refused)).headers["retry-after"] == "10"
    await eventually(welcome)


async def test_a_reader_that_leaves_without_a_connection_leaves_no_subscription_behind(tmp_path: Path) -> None:
    async with own_nats(tmp_path) as nats:
        broker = Broker(nats.url, name="test")
        await migrate_topology(await broker.jetstream())
        before = await nats.inboxes()
        reading = LiveFeed(broker, max_readers=1).read(after=0, subjects=[], follow=True)
        first = asyncio.ensure_future(anext(reading))

        async def is_reading() -> bool:
            return len(await nats.inboxes() or ()) > len(before or ())

        async def is_away() -> bool:
            return not broker.is_connected

        async def is_as_before() -> bool:
            return await nats.inboxes() == before

        await eventually(is_reading)
        await nats.stop()
        await eventually(is_away)
        first.cancel()
        await asyncio.wait([first])
        await nats.start()
        await eventually(is_as_before, timeout_s=20)
        await broker.close()
