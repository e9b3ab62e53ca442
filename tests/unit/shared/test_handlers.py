"""What a handler may ask for, and what becomes of a message before its handler sees it."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.delivery.handlers import Handlers, UnhandledError, decode, injected
from slm_shared.events.catalogue import DatasetDeleted, DatasetProcessed
from slm_shared.storage.ids import new_id

HEADERS = {"ce-specversion": "1.0", "ce-id": str(new_id()), "ce-type": "dataset.deleted"}


async def forget(session: AsyncSession, event: DatasetDeleted) -> None:
    """Ask for what every handler may have."""


async def forget_or_remember(event: DatasetDeleted | DatasetProcessed) -> None:
    """Ask for one of two events."""


def test_a_handler_that_asks_for_something_unknown_is_refused_before_any_message() -> None:
    with pytest.raises(TypeError, match="forget asks for session, which nobody provides"):
        injected(forget, DatasetDeleted, provided={})


def test_a_handler_that_does_not_ask_for_its_event_is_refused_before_any_message() -> None:
    with pytest.raises(TypeError, match="which nobody provides"):
        injected(forget, DatasetProcessed, provided={AsyncSession: object})


@pytest.mark.parametrize("event", [DatasetDeleted, DatasetProcessed])
def test_a_handler_may_be_for_several_events(event: Any) -> None:
    injected(forget_or_remember, event, provided={})


def test_a_function_that_is_marked_as_a_handler_stays_what_it_is() -> None:
    handlers = Handlers()
    assert handlers.on(DatasetProcessed)(handlers.on(DatasetDeleted)(forget_or_remember)) is forget_or_remember
    assert handlers == [(DatasetDeleted, forget_or_remember), (DatasetProcessed, forget_or_remember)]


@pytest.mark.parametrize(
    ("headers", "body", "why"),
    [
        ({}, b"{}", "the headers are not those of this event"),
        ({"ce-type": "dataset.processed"}, b"{}", "the headers are not those of this event"),
        ({"ce-specversion": "0.3"}, b"{}", "the headers are not those of this event"),
        ({"ce-id": "no uuid"}, b"{}", "the event id is not a UUID"),
        ({}, b"not even json", "the body does not fit DatasetDeleted: body"),
        ({}, b'{"dataset_id": 1, "name": "x"}', "the body does not fit DatasetDeleted: dataset_id"),
    ],
)
def test_a_message_that_can_never_be_handled_says_why(headers: dict[str, str], body: bytes, why: str) -> None:
    sent = HEADERS | headers if headers or body != b"{}" else None
    with pytest.raises(UnhandledError, match=why):
        decode(DatasetDeleted, sent, body)
