"""Rows of the datasets database."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from slm_shared.leases import LeaseColumns

Moment = TIMESTAMP(timezone=True)


class Base(DeclarativeBase):
    """The datasets database."""

    type_annotation_map = {datetime: Moment, dict[str, Any]: JSONB, str: Text}  # noqa: RUF012  SQLAlchemy's own form


class FamilyRow(Base):
    """Counts the versions of a family without gaps."""

    __tablename__ = "family"

    name: Mapped[str] = mapped_column(primary_key=True)
    last_version: Mapped[int]


class DatasetRow(LeaseColumns, Base):
    """One dataset version; `sha256` is that of the uploaded file, `canonical_sha256` that of the Parquet."""

    __tablename__ = "dataset"
    __table_args__ = (
        UniqueConstraint("family", "version"),
        Index("ix_dataset_newest", "created_at", "id"),
        Index("ix_dataset_status", "status", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    family: Mapped[str]
    version: Mapped[int]
    description: Mapped[str | None]
    owner: Mapped[str]
    usage: Mapped[str]
    status: Mapped[str]
    format: Mapped[str]
    file_name: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    prompt_column: Mapped[str | None]
    completion_column: Mapped[str | None]
    data_type: Mapped[str | None]
    row_format: Mapped[str | None]
    mapping: Mapped[dict[str, Any]] = mapped_column(default=dict)
    columns: Mapped[list[dict[str, str]]] = mapped_column(JSONB, default=list)
    rows: Mapped[int | None] = mapped_column(BigInteger)
    object_key: Mapped[str | None]
    canonical_sha256: Mapped[str | None]
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    processed_at: Mapped[datetime | None]
