"""Rows of the evaluation database."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from slm_shared.jobs.leases import LeaseColumns

Moment = TIMESTAMP(timezone=True)


class Base(DeclarativeBase):
    """The evaluation database."""

    type_annotation_map = {datetime: Moment, dict[str, Any]: JSONB, str: Text}  # noqa: RUF012  SQLAlchemy's own form


class ModelRow(Base):
    """What this service needs of a model; a projection of the registry's events."""

    __tablename__ = "model"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    artifact_prefix: Mapped[str]
    manifest_key: Mapped[str]
    manifest_sha256: Mapped[str]
    family: Mapped[str | None]
    version: Mapped[int | None]
    signature: Mapped[str | None]
    deleted: Mapped[bool] = mapped_column(server_default="false", default=False)


class DatasetRow(Base):
    """What this service needs of a dataset; a projection of the datasets service's events."""

    __tablename__ = "dataset"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    object_key: Mapped[str]
    sha256: Mapped[str]
    row_format: Mapped[str]
    mapping: Mapped[dict[str, Any]]


class EvaluationRow(LeaseColumns, Base):
    """One model measured on one dataset with one set of settings, at most once."""

    __tablename__ = "evaluation"
    __table_args__ = (
        UniqueConstraint("model_id", "dataset_id", "settings_hash"),
        Index("ix_evaluation_newest", "created_at", "id"),
        Index("ix_evaluation_status", "status", "created_at"),
        Index("ix_evaluation_claim", "claim_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    model_id: Mapped[UUID]
    dataset_id: Mapped[UUID]
    settings_hash: Mapped[str]
    model: Mapped[dict[str, Any]]
    dataset: Mapped[dict[str, Any]]
    settings: Mapped[dict[str, Any]]
    owner: Mapped[str | None]
    cancel_requested: Mapped[bool] = mapped_column(server_default="false", default=False)
    experiment_id: Mapped[UUID | None]
    baseline_evaluation_id: Mapped[UUID | None]
    status: Mapped[str]
    done_rows: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    rows: Mapped[int | None] = mapped_column(BigInteger)
    metrics: Mapped[dict[str, Any]] = mapped_column(server_default="{}", default=dict)
    samples: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]", default=list)
    predictions_key: Mapped[str | None]
    report: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
