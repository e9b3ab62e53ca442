"""Rows of the datasets database."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Index, Text, UniqueConstraint, Uuid, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, deferred, mapped_column

from slm_datasets.domain.states import DatasetStatus, JobStatus
from slm_shared.jobs.leases import LeaseColumns

Moment = TIMESTAMP(timezone=True)
Json = dict[str, Any]
THERE = text("status <> 'deleted'")


class Base(DeclarativeBase):
    """The datasets database."""

    type_annotation_map = {datetime: Moment, dict[str, Any]: JSONB, str: Text}  # noqa: RUF012  SQLAlchemy's own form


class FamilyRow(Base):
    """Counts the versions of a family without gaps."""

    __tablename__ = "family"

    name: Mapped[str] = mapped_column(primary_key=True)
    last_version: Mapped[int]


class QueuedRow(LeaseColumns):
    """A row that a work queue serves while its status is `WAITING`; `ENDED_AT` names the column of its end."""

    WAITING: ClassVar[str]
    ENDED_AT: ClassVar[str]

    status: Mapped[str]
    progress: Mapped[Json | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class DatasetRow(QueuedRow, Base):
    """One dataset version; `sha256` is that of the uploaded file, `canonical_sha256` that of the Parquet.

    `reading` says how the file is to be read, `derived` how the rows come from another dataset instead. `name_grams`
    are the three-letter pieces of the name, so that a search for a part of it uses an index.
    """

    __tablename__ = "dataset"
    __table_args__ = (
        UniqueConstraint("family", "version"),
        Index("ix_dataset_newest", "created_at", "id"),
        Index("ix_dataset_status", "status", "created_at"),
        *(
            Index(f"ix_dataset_by_{name}", name, "id", postgresql_where=THERE)
            for name in ("created_at", "name", "size_bytes")
        ),
        Index("ix_dataset_by_rows", text("coalesce(rows, 0)"), "id", postgresql_where=THERE),
        *(
            Index(f"ix_dataset_of_{name}", name, "created_at", "id", postgresql_where=THERE)
            for name in ("usage", "family", "owner", "origin", "data_type", "row_format", "sha256")
        ),
        Index("ix_dataset_grams", "name_grams", postgresql_using="gin"),
        Index(
            "ix_dataset_to_sweep", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL AND swept_at IS NULL")
        ),
    )

    WAITING = DatasetStatus.IN_PROGRESS
    ENDED_AT = "processed_at"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    family: Mapped[str]
    version: Mapped[int]
    description: Mapped[str | None]
    owner: Mapped[str]
    usage: Mapped[str]
    origin: Mapped[str] = mapped_column(default="uploaded")
    parents: Mapped[list[dict[str, str]]] = mapped_column(JSONB, default=list)
    format: Mapped[str]
    compression: Mapped[str | None]
    file_name: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    reading: Mapped[Json] = mapped_column(default=dict)
    derived: Mapped[Json | None]
    prompt_column: Mapped[str | None]
    completion_column: Mapped[str | None]
    data_type: Mapped[str | None]
    row_format: Mapped[str | None]
    source_format: Mapped[str | None]
    mapping: Mapped[Json] = mapped_column(default=dict)
    suggested_mapping: Mapped[Json] = mapped_column(default=dict)
    untrainable_because: Mapped[str | None]
    columns: Mapped[list[dict[str, str]]] = mapped_column(JSONB, default=list)
    rows: Mapped[int | None] = mapped_column(BigInteger)
    skipped_rows: Mapped[int] = mapped_column(BigInteger, default=0)
    dialect: Mapped[Json | None]
    object_key: Mapped[str | None]
    canonical_sha256: Mapped[str | None]
    canonical_size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[Json | None]
    problems: Mapped[Json | None] = deferred(mapped_column(JSONB))
    profile: Mapped[list[Json] | None] = deferred(mapped_column(JSONB))
    name_grams: Mapped[list[str]] = deferred(mapped_column(ARRAY(Text), default=list))
    processed_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    # The column keeps its first name: a renamed one would break the processes of the release before.
    files_removed_at: Mapped[datetime | None] = mapped_column("swept_at")


class JobRow(QueuedRow, Base):
    """One examination of a dataset; `key` is what makes two of them the same one, so that none is done twice."""

    __tablename__ = "job"
    __table_args__ = (
        UniqueConstraint("dataset_id", "kind", "key"),
        Index("ix_job_waiting", "created_at", "id", postgresql_where=text("status = 'queued'")),
        Index("ix_job_newest", "dataset_id", "kind", "created_at", "id"),
    )

    WAITING = JobStatus.QUEUED
    ENDED_AT = "finished_at"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    dataset_id: Mapped[UUID]
    kind: Mapped[str]
    key: Mapped[str]
    params: Mapped[Json] = mapped_column(default=dict)
    result: Mapped[Json | None]
    error: Mapped[Json | None]
    finished_at: Mapped[datetime | None]


class RunUseRow(Base):
    """A training run as far as datasets need to know it: what it reads, and whether it has ended."""

    __tablename__ = "run_use"
    __table_args__ = (Index("ix_run_use_datasets", "dataset_ids", postgresql_using="gin"),)

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    dataset_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    has_ended: Mapped[bool] = mapped_column(Boolean, default=False)


class UploadRow(Base):
    """A file that arrives in parts: what it will be, and where its parts go until it is complete."""

    __tablename__ = "upload"
    __table_args__ = (Index("ix_upload_open", "expires_at", postgresql_where=text("status = 'open'")),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner: Mapped[str]
    status: Mapped[str]
    fields: Mapped[Json]
    file_name: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None]
    part_bytes: Mapped[int] = mapped_column(BigInteger)
    multipart_id: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    expires_at: Mapped[datetime]
