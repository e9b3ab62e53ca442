"""Who did what: one row per change, written in the transaction of the change, chained by hashes.

The chain makes an edited, deleted, reordered or cut-off row show: each hash covers the row and the hash before it, and
the head (one locked row) knows the last. The tables refuse UPDATE, DELETE and TRUNCATE; the chain shows the changes of
somebody who got around that. Pattern: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-intro.html
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

GENESIS = "0" * 64
BEYOND = 2**63 - 1

_DEFINITION = (
    """
CREATE TABLE audit (
  seq bigint PRIMARY KEY,
  at timestamptz NOT NULL,
  actor text NOT NULL,
  action text NOT NULL,
  object_id text NOT NULL,
  request_id text NOT NULL,
  details jsonb NOT NULL,
  hash text NOT NULL
)""",
    """
CREATE TABLE audit_head (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  seq bigint NOT NULL,
  hash text NOT NULL
)""",
    f"INSERT INTO audit_head (seq, hash) VALUES (0, '{GENESIS}')",
    """
CREATE FUNCTION audit_hash(previous text, entry audit) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT encode(sha256(convert_to(previous || jsonb_build_array(
    entry.seq, to_char(entry.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), entry.actor, entry.action,
    entry.object_id, entry.request_id, entry.details)::text, 'UTF8')), 'hex')
$$""",
    """
CREATE FUNCTION audit_append(actor text, action text, object_id text, request_id text, details jsonb)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  head audit_head;
  entry audit;
BEGIN
  SELECT * INTO head FROM audit_head FOR UPDATE;
  entry := ROW(head.seq + 1, clock_timestamp(), actor, action, object_id, request_id, details, '');
  entry.hash := audit_hash(head.hash, entry);
  INSERT INTO audit SELECT entry.*;
  UPDATE audit_head SET seq = entry.seq, hash = entry.hash;
  RETURN entry.seq;
END $$""",
    """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is only ever added to';
END $$""",
    """
CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
)

_VERIFY = f"""
WITH chained AS (
  SELECT entry.seq, entry.hash AS stored, row_number() OVER (ORDER BY entry.seq) AS position,
    audit_hash(coalesce(lag(entry.hash) OVER (ORDER BY entry.seq), '{GENESIS}'), entry) AS computed
  FROM audit AS entry
)
SELECT min(seq) FROM (
  SELECT seq FROM chained WHERE stored <> computed OR seq <> position
  UNION ALL
  SELECT coalesce((SELECT max(seq) FROM audit), 0) + 1 FROM audit_head
    WHERE seq <> coalesce((SELECT max(seq) FROM audit), 0)
      OR hash <> coalesce((SELECT hash FROM audit ORDER BY seq DESC LIMIT 1), '{GENESIS}')
) AS wrong
"""


class AuditEntry(BaseModel):
    """One change: who, what, on what, with which request."""

    seq: int
    at: datetime
    actor: str
    action: str
    object_id: str
    request_id: str
    details: dict[str, Any]
    hash: str


def create_audit_tables() -> None:
    """For a service's migration."""
    from alembic import op  # noqa: PLC0415  11 MiB that no running service needs

    for statement in _DEFINITION:
        op.execute(statement)


async def append(session: AsyncSession, action: str, *, actor: str, object_id: object, **details: Any) -> None:
    """Note in the caller's transaction that `actor` did `action` (named like an event) to an object."""
    request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
    statement = text("SELECT audit_append(:actor, :action, :object_id, :request_id, CAST(:details AS jsonb))")
    values = {"actor": actor, "action": action, "object_id": str(object_id), "request_id": request_id}
    await session.execute(statement, values | {"details": json.dumps(details, default=str)})


async def first_broken(session: AsyncSession) -> int | None:
    """The number of the first row that is not as it was written, or is missing; None when the chain is whole."""
    found: int | None = await session.scalar(text(_VERIFY))
    return found


async def entries(session: AsyncSession, *, before: int | None, limit: int) -> Sequence[AuditEntry]:
    """The newest rows, or the newest before row `before`."""
    statement = text("SELECT * FROM audit WHERE seq < :before ORDER BY seq DESC LIMIT :limit")
    rows = (await session.execute(statement, {"before": before or BEYOND, "limit": limit})).mappings().all()
    return [AuditEntry.model_validate(dict(row)) for row in rows]
