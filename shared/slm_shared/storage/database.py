"""One PostgreSQL database per service: sessions, transactions, and the tables that delivery needs.

The only place of the platform that commits. PostgreSQL's transaction is the moment at which a fact exists.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine

from slm_shared.errors import UnavailableError
from slm_shared.settings import ANSWER_WITHIN_S

POOL_SIZE = 10
# What a request keeps of its time to say that no connection could be had.
ANSWER_MARGIN_S = 0.25
CLOSE_TIMEOUT_S = 0.2
STATEMENT_TIMEOUT_MS = 10_000
# A process that hangs, or that the network has cut off, would keep its locks for ever.
IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000
# Failures of the moment as PostgreSQL classes them: 08 connection, 53 resources, 57P shutdown, 57014 statement timeout,
# 40 serialisation.
TRANSIENT_SQLSTATES = ("08", "53", "57P", "57014", "40")
# Key in `session.info` that says the transaction holds an outbox row.
PUBLISHES = "publishes"

delivery_metadata = MetaData()

outbox_table = Table(
    "outbox",
    delivery_metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=True),
    Column("event_id", Uuid, nullable=False, unique=True),
    Column("subject", String(200), nullable=False),
    Column("aggregate_id", Uuid, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("traceparent", String(100)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("claim_token", Uuid),
    Column("claim_expires_at", DateTime(timezone=True)),
    Column("published_at", DateTime(timezone=True)),
    Column("stream_seq", BigInteger),
)
Index("ix_outbox_unpublished", outbox_table.c.position, postgresql_where=outbox_table.c.published_at.is_(None))

inbox_table = Table(
    "inbox",
    delivery_metadata,
    Column("consumer", String(200), primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("handled_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

dead_letter_table = Table(
    "dead_letter",
    delivery_metadata,
    Column("consumer", String(200), primary_key=True),
    Column("event_id", String(200), primary_key=True),
    Column("subject", String(200), nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("error", Text, nullable=False),
    Column("deliveries", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

idempotency_table = Table(
    "idempotency_key",
    delivery_metadata,
    Column("principal", String(200), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("status", Integer, nullable=False, server_default=text("0")),
    Column("body", JSONB),
    Column("headers", JSONB),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)


class _Connection(asyncpg.Connection):
    """A connection that a server which hangs cannot hold up."""

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  asyncpg's own parameter
        """Say goodbye for a moment at most; SQLAlchemy would wait for two seconds, longer than a client should."""
        await super().close(timeout=min(timeout or CLOSE_TIMEOUT_S, CLOSE_TIMEOUT_S))


class Database:
    """A pool of connections to one database.

    `answer_within_s` is what a request may spend on its session, so that a client is soon told when the database does
    not answer. `plans_each_time` is for searches: a statement that it has seen five times PostgreSQL would otherwise
    plan for any parameters at all, and a word that is in every name is found another way than one that is in two.
    `on_commit` callbacks run after every committed transaction of this process that published an event; the relay and
    the work queues use them to be woken at once.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = POOL_SIZE,
        answer_within_s: float = ANSWER_WITHIN_S,
        plans_each_time: bool = False,
    ) -> None:
        self._answer_within_s = answer_within_s
        self._engine = create_async_engine(
            url,
            pool_size=pool_size,
            # The server's 200 connections are for all processes together.
            max_overflow=0,
            pool_timeout=answer_within_s - ANSWER_MARGIN_S,
            connect_args={
                "timeout": answer_within_s - ANSWER_MARGIN_S,
                "connection_class": _Connection,
                "server_settings": {
                    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                    "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
                    # To compile a query takes longer than any of ours runs.
                    "jit": "off",
                    "plan_cache_mode": "force_custom_plan" if plans_each_time else "auto",
                },
            },
        )
        self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self.on_commit: list[Callable[[], None]] = []

    @asynccontextmanager
    async def transaction(self, *, answering: bool = False) -> AsyncIterator[AsyncSession]:
        """A session whose work is committed when the block ends and rolled back when it raises.

        `answering` says that somebody waits: the block may take `answer_within_s`. Raises UnavailableError when the
        database does not answer, or not in time.
        """
        async with (
            _translated(),
            asyncio.timeout(self._answer_within_s if answering else None),
            # Rows are still shown after the commit, when nothing could load them again.
            AsyncSession(self._engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session
        if session.info.get(PUBLISHES):
            for callback in self.on_commit:
                callback()

    @asynccontextmanager
    async def read(self, *, answering: bool = False) -> AsyncIterator[AsyncSession]:
        """A session for queries: each statement stands alone, which saves the BEGIN and COMMIT round trips.

        Raises UnavailableError as `transaction` does.
        """
        async with (
            _translated(),
            asyncio.timeout(self._answer_within_s if answering else None),
            AsyncSession(self._autocommit, expire_on_commit=False) as session,
        ):
            yield session

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """A bare connection inside one transaction, for migrations and administration."""
        async with self._engine.begin() as connection:
            yield connection

    async def ping(self) -> None:
        """Raise UnavailableError unless the database answers."""
        async with self.read(answering=True) as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every pooled connection."""
        await self._engine.dispose()


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    """Turn the many ways of losing a database into UnavailableError; everything else passes."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError, ConnectionError, TimeoutError) as error:
        raise UnavailableError("The database does not answer.") from error
    except DBAPIError as error:
        sqlstate = str(getattr(error.orig, "sqlstate", None) or "")
        if error.connection_invalidated or sqlstate.startswith(TRANSIENT_SQLSTATES):
            raise UnavailableError("The database does not answer.") from error
        raise


async def database_now(session: AsyncSession) -> datetime:
    """The database's clock, the only one that decides about expiry."""
    now: datetime = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
    return now
