"""What routers are made of: strict bodies, documented problems, and sessions that end before the answer."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.http.problems import Problem
from slm_shared.http.provided import provided
from slm_shared.http.requests import StrictRoute
from slm_shared.storage.database import Database
from slm_shared.storage.objects import ObjectStore

PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {"model": Problem, "description": "Problem", "content": {"application/problem+json": {}}}
}


def router(*, tags: list[str], prefix: str = "") -> APIRouter:
    """A router whose routes read bodies strictly and document their problems."""
    return APIRouter(prefix=prefix, tags=list(tags), route_class=StrictRoute, responses=PROBLEMS)


ServiceDatabase = Annotated[Database, provided(Database)]


async def _read_session(database: ServiceDatabase) -> AsyncIterator[AsyncSession]:
    async with database.read(answering=True) as session:
        yield session


async def _write_session(database: ServiceDatabase) -> AsyncIterator[AsyncSession]:
    async with database.transaction(answering=True) as session:
        yield session


async def _open_read(database: ServiceDatabase) -> "OpenSession":
    return lambda: database.read(answering=True)


async def _open_write(database: ServiceDatabase) -> "OpenSession":
    return lambda: database.transaction(answering=True)


async def _objects(objects: Annotated[ObjectStore, provided(ObjectStore)]) -> ObjectStore:
    await objects.ping()
    return objects


OpenSession = Callable[[], AbstractAsyncContextManager[AsyncSession]]
# `async with read() as session:` for endpoints that go on to the object store or another service: nobody may hold a
# connection to the database meanwhile, and only the database's part of the work has to be done within its deadline.
OpenRead = Annotated[OpenSession, Depends(_open_read)]
OpenWrite = Annotated[OpenSession, Depends(_open_write)]
# The object store, known to answer: with one that hangs the request is refused at once.
Objects = Annotated[ObjectStore, Depends(_objects)]
# scope="function" ends the transaction before the response is sent; the default would commit after the client has read
# a success that may yet fail.
ReadSession = Annotated[AsyncSession, Depends(_read_session, scope="function")]
WriteSession = Annotated[AsyncSession, Depends(_write_session, scope="function")]
