"""What endpoints ask their app for, by type: `Annotated[Resolver, provided(Resolver)]`.

A composition root hands `create_app(provides=[...])` one object of each type; nothing else reads `app.state`.
"""

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Depends
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from slm_shared.background import BackgroundTask
from slm_shared.delivery.dead_letters import Redriver
from slm_shared.identity.principal import Verifier
from slm_shared.storage.database import Database

T = TypeVar("T")


@dataclass(frozen=True)
class Service:
    """What the platform's own endpoints need of the service they belong to.

    `database` is None for a service that stores nothing, `bus` for one that consumes nothing, and `verifier` for one
    without keys. JSON bodies may have `max_json_body_bytes`.
    """

    name: str
    max_json_body_bytes: int
    background: tuple[BackgroundTask, ...]
    database: Database | None
    bus: Redriver | None
    verifier: Verifier | None


def provide(app: Starlette, values: Iterable[object]) -> None:
    """Offer `values` to the endpoints of `app`, each under its own class. Raises ValueError for a class given twice."""
    offered: dict[type, object] = {}
    for value in values:
        if type(value) in offered:
            raise ValueError(f"two objects of {type(value).__name__} are provided")
        offered[type(value)] = value
    app.state.offered = offered


def given(app: Starlette, kind: type[T]) -> T:
    """What `app` offers of a class. Raises KeyError when it offers none."""
    value: T = app.state.offered[kind]
    return value


def taken(kind: type[T]) -> Any:
    """A dependency for `Annotated[kind, taken(kind)]`: an object of a dataclass whose fields are query parameters."""

    async def make(**fields: Any) -> T:
        return kind(**fields)

    make.__signature__ = inspect.signature(kind)  # type: ignore[attr-defined]  # what FastAPI reads
    return Depends(make)


def provided(kind: type[T]) -> Any:
    """A dependency for `Annotated[kind, provided(kind)]`: the object of this class that the app was made with."""

    # Not a plain function: FastAPI runs those in a thread, which takes longer than many a query.
    async def find(connection: HTTPConnection) -> T:
        return given(connection.app, kind)

    return Depends(find)
