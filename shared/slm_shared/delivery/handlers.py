"""Handlers of events as FastStream calls them: with the parameters they ask for, and messages that are CloudEvents."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import partial, wraps
from typing import Annotated, Any, TypeVar, get_args, get_type_hints
from uuid import UUID

from faststream import AckPolicy, Depends, StreamMessage
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.subscriber.usecases import PullStreamSubscriber
from nats.aio.msg import Msg
from pydantic import ValidationError

from slm_shared.events.catalogue import Event
from slm_shared.events.cloudevents import envelope_of
from slm_shared.events.topology import Consumer

Handler = Callable[..., Awaitable[None]]
H = TypeVar("H", bound=Handler)


class UnhandledError(Exception):
    """This message can never be handled here."""


class Handlers(list[tuple[type[Event], Handler]]):
    """What a service does when something happened elsewhere, each function marked with `@handlers.on(Event)`."""

    def on(self, event: type[Event]) -> Callable[[H], H]:
        """A decorator: the function handles events of this class; it may stand several times."""

        def add(handle: H) -> H:
            self.append((event, handle))
            return handle

        return add


def injected(handle: Handler, event: type[Event], provided: Mapping[type, Callable[[], object]]) -> Handler:
    """`handle`, of which FastStream fills each parameter but the event with what is `provided` for its class.

    Raises TypeError for a handler that does not ask for the event, or asks for something that is not provided: else
    each message would show it, eight times.
    """
    hints = get_type_hints(handle, include_extras=True)
    parameters, asks_for_event = [], False
    for parameter in inspect.signature(handle).parameters.values():
        kind = hints[parameter.name]
        if event in (kind, *get_args(kind)):
            asks_for_event = True
        elif kind in provided:
            kind = Annotated[kind, _dependency(provided[kind])]
        else:
            raise TypeError(f"{handle.__qualname__} asks for {parameter.name}, which nobody provides")
        parameters.append(parameter.replace(annotation=kind))
    if not asks_for_event:
        raise TypeError(f"{handle.__qualname__} has no parameter for a {event.__name__}")

    @wraps(handle)
    async def call(**given: Any) -> None:
        await handle(**given)

    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what FastStream reads
    return call


def _dependency(find: Callable[[], object]) -> Any:
    # FastStream calls what is not a coroutine function, and fills its own `Context`, in a worker thread.
    async def found() -> object:
        return find()

    return Depends(found, use_cache=False, cast=False, cast_result=False)


def subscribed(broker: NatsBroker, event: type[Event], consumer: Consumer) -> PullStreamSubscriber:
    """FastStream's subscriber to one event, to be called with a handler and, before any message, `started`."""
    subscriber = broker.subscriber(
        event.subject,
        stream=JStream(consumer.stream, declare=False),
        durable=consumer.durable,
        pull_sub=PullSub(batch=False),
        ack_policy=AckPolicy.MANUAL,
        # A header could name a subject to answer to.
        no_reply=True,
        parser=_identified,
        decoder=partial(_decoded, event),
    )
    assert isinstance(subscriber, PullStreamSubscriber)
    # FastStream begins no loop of its own where it finds a subscription.
    subscriber.subscription = _NoSubscription()  # type: ignore[assignment]
    return subscriber


class _NoSubscription:
    """Stands where FastStream keeps its own subscription."""

    async def unsubscribe(self) -> None:
        """There is none."""


async def _identified(message: Msg, parse: Callable[[Msg], Awaitable[StreamMessage[Msg]]]) -> StreamMessage[Msg]:
    """FastStream's message, which spans and logs call by the id of its event."""
    parsed = await parse(message)
    parsed.message_id = parsed.correlation_id = parsed.headers.get("ce-id", "")
    return parsed


async def _decoded(event: type[Event], message: StreamMessage[Any]) -> Event:
    return decode(event, message.headers, message.body)


def decode(event: type[Event], headers: Mapping[str, str] | None, body: bytes) -> Event:
    """The event in a message. Raises UnhandledError."""
    envelope = envelope_of(headers)
    if envelope is None or envelope.type != event.subject:
        raise UnhandledError("the headers are not those of this event")
    try:
        UUID(envelope.event_id)
        return event.model_validate_json(body)
    except ValidationError as error:
        places = ", ".join(".".join(map(str, problem["loc"])) or "body" for problem in error.errors()[:5])
        raise UnhandledError(f"the body does not fit {event.__name__}: {places}") from error
    except ValueError as error:
        raise UnhandledError("the event id is not a UUID") from error
