"""`Idempotency-Key`: a repeated request changes nothing and gets the first answer again.

The key's row commits in the same transaction as what the request made, so an answer lost after the commit is replayed,
and an attempt that rolled back leaves no trace.
Source: draft-ietf-httpapi-idempotency-key-header.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel
from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse

from slm_shared.errors import ConflictError, InvalidError, MalformedError
from slm_shared.http.provided import given
from slm_shared.identity.principal import Principal
from slm_shared.storage.database import Database, idempotency_table

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
LOCK_NOT_AVAILABLE = "55P03"
_VALID = re.compile(r"[\x21-\x7e]{1,255}")

B = TypeVar("B", bound=BaseModel)


class KeyReusedError(InvalidError):
    """The same key came with a different request."""

    code = "idempotency_key_reused"


class InFlightError(ConflictError):
    """The first request with this key has not ended yet."""

    code = "request_in_flight"


class Once:
    """Does the work of one request at most once per key. Without a key, each request is a new one."""

    def __init__(self, request: Request) -> None:
        self._database = given(request.app, Database)
        principal: Principal = request.state.principal
        self._principal = principal.subject
        self._route = f"{request.method} {request.url.path}"
        self._key = request.headers.get(HEADER)
        if self._key is not None and not _VALID.fullmatch(self._key):
            raise MalformedError("The Idempotency-Key must be 1 to 255 visible ASCII characters.")

    async def __call__(
        self,
        work: Callable[[AsyncSession], Awaitable[B]],
        *,
        of: str,
        status: int = 201,
        location: Callable[[B], str] | None = None,
    ) -> JSONResponse:
        """Run `work` in one transaction and answer with what it returns, or replay the stored answer.

        `of` is the canonical text of the request: the same key with another text is refused. `location` gives the
        Location header of what was made.
        """
        fingerprint = self._fingerprint(of)
        async with self._database.transaction(answering=True) as session:
            if self._key is not None and not await self._is_first(session, fingerprint):
                return _stored_answer(await self._find(session), fingerprint)
            made = await work(session)
            body = made.model_dump(mode="json")
            headers = {"Location": location(made)} if location else {}
            if self._key is not None:
                await session.execute(
                    update(idempotency_table)
                    .where(idempotency_table.c.principal == self._principal, idempotency_table.c.key == self._key)
                    .values(status=status, body=body, headers=headers)
                )
        return JSONResponse(body, status_code=status, headers=headers)

    async def stored(self, *, of: str) -> JSONResponse | None:
        """The stored answer of an earlier request with this key, before any work that needs other services."""
        if self._key is None:
            return None
        async with self._database.read(answering=True) as session:
            row = await self._find(session)
        return _stored_answer(row, self._fingerprint(of)) if row is not None else None

    def _fingerprint(self, of: str) -> str:
        return hashlib.sha256(f"{self._route}\n{of}".encode()).hexdigest()

    async def _is_first(self, session: AsyncSession, fingerprint: str) -> bool:
        # A concurrent request with the same key makes this insert wait for the other transaction: for less than
        # `answer_within_s`, so that the client hears "in flight" and not "unavailable".
        await session.execute(text("SET LOCAL lock_timeout = '1s'"))
        statement = insert(idempotency_table).values(principal=self._principal, key=self._key, fingerprint=fingerprint)
        try:
            added = await session.execute(statement.on_conflict_do_nothing().returning(idempotency_table.c.key))
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE:
                raise InFlightError("The first request with this key is still running.", retry_after_s=1) from error
            raise
        # The work itself may wait for rows as long as any other request.
        await session.execute(text("SET LOCAL lock_timeout = 0"))
        return added.first() is not None

    async def _find(self, session: AsyncSession) -> Row[Any] | None:
        mine = (idempotency_table.c.principal == self._principal, idempotency_table.c.key == self._key)
        return (await session.execute(select(idempotency_table).where(*mine))).one_or_none()


def _stored_answer(row: Row[Any] | None, fingerprint: str) -> JSONResponse:
    assert row is not None
    if row.fingerprint != fingerprint:
        raise KeyReusedError("This Idempotency-Key was used for a different request.", hint="Use a new key.")
    return JSONResponse(row.body, status_code=row.status, headers={**(row.headers or {}), REPLAYED: "true"})


# Not the class itself: FastAPI calls what is not a coroutine function in a thread.
async def _once(request: Request) -> Once:
    return Once(request)


Idempotency = Annotated[Once, Depends(_once)]
