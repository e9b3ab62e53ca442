"""`slm_client.events` as integrators use it: in a program of their own, against a real server."""

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from faststream.nats import TestNatsBroker
from nats.js.errors import NotFoundError

from slm_client.events import DatasetDeleted, EventBroker, EventId, ExperimentCompleted
from slm_local.process import Process
from slm_shared.delivery.broker import Broker
from slm_shared.events.cloudevents import headers_of
from slm_shared.events.topology import EVENTS, migrate_topology
from slm_shared.storage.ids import new_id
from slm_testing.events import EventLog
from slm_testing.waiting import eventually
from tests.support.nats_server import OwnNats, own_nats

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "contract" / "golden"
DURABLE = "audit-dataset-deleted"


class Application:
    """A program that is started, killed and started again, and writes lines of JSON."""

    def __init__(self, folder: Path, *argv: str) -> None:
        self._argv = (sys.executable, *argv)
        self._log = folder / "application.log"
        self._process: Process | None = None

    async def start(self, *arguments: str) -> None:
        """Start it; it writes on behind what is there."""
        paths = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process = await Process.start("application", (*self._argv, *arguments), log_path=self._log, env=paths)

    async def stop(self) -> None:
        """Let it end."""
        assert self._process is not None
        await self._process.stop()

    async def kill(self) -> None:
        """Let it end without any last word, if it still runs."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
        await self._process.stop()

    def text(self) -> str:
        """All that it wrote."""
        return self._log.read_text()

    def lines(self) -> list[dict[str, Any]]:
        """What it wrote about events."""
        return [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]

    def names(self) -> list[str]:
        """The names of the datasets that it handled, in this order."""
        return [line["name"] for line in self.lines() if "name" in line]

    async def wait_for(self, name: str) -> None:
        """Wait until it has handled an event with this name."""

        async def is_handled() -> bool:
            return name in self.names()

        await eventually(is_handled, timeout_s=40)


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[OwnNats]:
    """A server with the platform's streams."""
    async with own_nats(tmp_path) as server:
        yield server


@pytest.fixture
async def broker(nats: OwnNats) -> AsyncIterator[Broker]:
    """The platform's side of it."""
    broker = Broker(nats.url, name="test")
    await migrate_topology(await broker.jetstream())
    yield broker
    await broker.close()


@pytest.fixture
async def application(tmp_path: Path, nats: OwnNats, broker: Broker) -> AsyncIterator[Application]:
    """The program, running and subscribed."""
    application = Application(tmp_path, str(ROOT / "tests" / "support" / "consumer.py"), nats.url)
    await application.start()
    await eventually(partial(is_subscribed, broker), timeout_s=40)
    yield application
    await application.kill()


async def is_subscribed(broker: Broker, durable: str = DURABLE) -> bool:
    """Whether somebody waits for messages of the application's consumer."""
    try:
        info = await (await broker.jetstream()).consumer_info(EVENTS, durable)
    except NotFoundError:
        return False
    return bool(info.num_waiting)


async def publish(broker: Broker, name: str, *, copies: int = 1) -> str:
    """Publish one event, several times as if the stream had not noticed; gives its id."""
    event, event_id = DatasetDeleted(dataset_id=new_id(), name=name), str(new_id())
    headers = headers_of(
        event_id=event_id,
        subject=event.subject,
        source=event.owner,
        aggregate_id=str(event.dataset_id),
        time=datetime.now(UTC),
        traceparent=None,
    )
    jetstream = await broker.jetstream()
    for number in range(copies):
        again = {**headers, "Nats-Msg-Id": f"{event_id}-{number}"}
        await jetstream.publish(event.subject, event.model_dump_json().encode(), headers=again)
    return event_id


async def unanswered(broker: Broker) -> int:
    """How many messages the server still wants an answer for."""
    pending = (await (await broker.jetstream()).consumer_info(EVENTS, DURABLE)).num_ack_pending
    return pending or 0


async def test_an_application_gets_what_happened_while_it_was_dead(application: Application, broker: Broker) -> None:
    await publish(broker, "while alive")
    await application.wait_for("while alive")
    await application.kill()
    event_id = await publish(broker, "while dead")
    await application.start()
    await application.wait_for("while dead")
    assert application.lines()[-1] == {"name": "while dead", "event_id": event_id}
    assert application.names().count("while dead") == 1


async def test_a_repeated_event_has_the_same_id(application: Application, broker: Broker) -> None:
    event_id = await publish(broker, "repeated", copies=3)
    await publish(broker, "last")
    await application.wait_for("last")
    repeated = [line["event_id"] for line in application.lines() if line["name"] == "repeated"]
    assert repeated == [event_id] * 3


async def test_what_fails_comes_again_and_what_cannot_be_read_stops_nobody(
    application: Application, broker: Broker
) -> None:
    jetstream = await broker.jetstream()
    await jetstream.publish(DatasetDeleted.subject, b"not even json")
    await publish(broker, "fails once")
    await publish(broker, "last")
    await application.wait_for("last")
    await application.wait_for("fails once")

    async def is_answered() -> bool:
        return await unanswered(broker) == 0

    await eventually(is_answered)
    assert "events.given_up" in application.text()
    assert "as told" in application.text()


async def test_a_consumer_that_was_deleted_meanwhile_misses_nothing(application: Application, broker: Broker) -> None:
    await publish(broker, "before")
    await application.wait_for("before")
    await publish(broker, "fails")
    jetstream = await broker.jetstream()
    await jetstream.delete_consumer(EVENTS, DURABLE)
    await publish(broker, "meanwhile")
    await application.wait_for("meanwhile")

    async def waits_for_the_failed_one() -> bool:
        return await unanswered(broker) == 1

    await eventually(waits_for_the_failed_one)
    assert (await jetstream.consumer_info(EVENTS, DURABLE)).config.max_deliver == 12


async def test_a_server_that_was_killed_is_found_again(application: Application, broker: Broker, nats: OwnNats) -> None:
    await nats.stop()
    await nats.start()
    await publish(broker, "afterwards")
    await application.wait_for("afterwards")


async def test_an_application_that_is_stopped_finishes_what_it_has_begun(
    application: Application, broker: Broker
) -> None:
    await publish(broker, "slow")

    async def has_begun() -> bool:
        return {"begun": "slow"} in application.lines()

    await eventually(has_begun)
    await application.stop()
    assert application.names() == ["slow"]
    assert await unanswered(broker) == 0


async def test_a_new_application_may_begin_with_the_oldest_event(tmp_path: Path, nats: OwnNats, broker: Broker) -> None:
    await publish(broker, "long ago")
    application = Application(tmp_path, str(ROOT / "tests" / "support" / "consumer.py"), nats.url)
    await application.start("--from-start")
    await application.wait_for("long ago")
    await application.kill()


async def test_the_example_reports_a_finished_training(tmp_path: Path, nats: OwnNats, broker: Broker) -> None:
    example = Application(tmp_path, str(ROOT / "examples" / "consume_events.py"), nats.url)
    await example.start()
    await eventually(partial(is_subscribed, broker, "cost-report-experiment-completed"), timeout_s=40)
    event = ExperimentCompleted.model_validate_json((GOLDEN / "experiment.completed.json").read_text())
    event_id = await EventLog(await broker.jetstream()).publish(event)

    async def is_reported() -> bool:
        return f"{event_id} {event.run_name}: {event.duration_s:.0f} s" in example.text()

    await eventually(is_reported)
    await example.kill()


async def test_an_application_can_be_tested_without_a_server() -> None:
    handled: list[tuple[DatasetDeleted, UUID]] = []
    broker = EventBroker("nats://nowhere:1", application="tested")

    @broker.on(DatasetDeleted)
    async def note(event: DatasetDeleted, event_id: EventId) -> None:
        handled.append((event, event_id))

    event, event_id = DatasetDeleted(dataset_id=new_id(), name="rows-v1"), new_id()
    headers = {"ce-specversion": "1.0", "ce-id": str(event_id), "ce-type": event.subject}
    async with TestNatsBroker(broker) as tested:
        await tested.publish(event, event.subject, stream=EVENTS, headers=headers)
    assert handled == [(event, event_id)]


@pytest.mark.parametrize("application", ["", "Billing", "a.b", "a b", "-a"])
def test_a_name_that_nats_would_misread_is_refused(application: str) -> None:
    with pytest.raises(ValueError, match="is not a name"):
        EventBroker("nats://nowhere:1", application=application)


def test_the_events_of_a_service_cannot_be_taken_from_it() -> None:
    broker = EventBroker("nats://nowhere:1", application="training")
    with pytest.raises(ValueError, match="a service of the platform"):
        broker.on(DatasetDeleted)


async def test_a_handler_that_does_not_ask_for_its_event_is_refused_at_the_start(nats: OwnNats) -> None:
    broker = EventBroker(nats.url, application="wrong")

    @broker.on(DatasetDeleted)
    async def note(event: ExperimentCompleted) -> None:
        raise AssertionError(event)

    with pytest.raises(TypeError, match="must ask for DatasetDeleted"):
        await broker.start()
    await broker.stop()
