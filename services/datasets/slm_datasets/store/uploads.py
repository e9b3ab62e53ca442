"""Queries about uploads that arrive in parts."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets.domain.states import UploadStatus
from slm_datasets.tables import UploadRow


async def add_upload(session: AsyncSession, upload: UploadRow, *, lifetime_s: float) -> UploadRow:
    """Store a new upload, open for `lifetime_s` by the database's clock."""
    # By the clock that expiry is judged by: those of several machines differ.
    now = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    upload.expires_at = now + timedelta(seconds=lifetime_s)
    session.add(upload)
    await session.flush()
    await session.refresh(upload)
    return upload


async def find_upload(session: AsyncSession, upload_id: UUID, *, owner: str) -> UploadRow | None:
    """An upload of this owner."""
    return await session.scalar(select(UploadRow).where(UploadRow.id == upload_id, UploadRow.owner == owner))


async def count_open_uploads(session: AsyncSession, owner: str) -> int:
    """How many uploads of an owner are open."""
    statement = (
        select(func.count())
        .select_from(UploadRow)
        .where(UploadRow.owner == owner, UploadRow.status == UploadStatus.OPEN)
    )
    return (await session.execute(statement)).scalar_one()


async def close_upload(session: AsyncSession, upload_id: UUID, status: UploadStatus) -> bool:
    """End an open upload; False when it is not open any more."""
    statement = (
        update(UploadRow)
        .where(UploadRow.id == upload_id, UploadRow.status == UploadStatus.OPEN)
        .values(status=status)
        .returning(UploadRow.id)
    )
    return (await session.execute(statement)).first() is not None


async def expire_uploads(session: AsyncSession, *, limit: int) -> Sequence[UploadRow]:
    """End uploads whose time is over, and return them; given up ones too, of which something may be left."""
    late = (
        select(UploadRow.id)
        .where(
            UploadRow.status.in_((UploadStatus.OPEN, UploadStatus.ABORTED)),
            UploadRow.expires_at < func.clock_timestamp(),
        )
        .limit(limit)
        # Several processes clean up at once: each takes other uploads instead of waiting for the same.
        .with_for_update(skip_locked=True)
    )
    statement = update(UploadRow).where(UploadRow.id.in_(late)).values(status=UploadStatus.EXPIRED).returning(UploadRow)
    return (await session.scalars(statement)).all()
