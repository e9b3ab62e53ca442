"""Rows of the training database."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, Text, func
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from slm_shared.jobs.leases import LeaseColumns

Moment = TIMESTAMP(timezone=True)


class Base(DeclarativeBase):
    """The training database."""

    type_annotation_map = {datetime: Moment, dict[str, Any]: JSONB, str: Text}  # noqa: RUF012  SQLAlchemy's own form


class JobColumns(LeaseColumns):
    """What runs and plans have in common: work that waits in the queue of a pool until a trainer leases it.

    `request` is what was asked for, `config` what follows from it, `needs` what a trainer must have. Higher `priority`
    is claimed first. `failures` counts the bad ends since the last new checkpoint, `total_failures` all of them.
    """

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    owner: Mapped[str]
    pool: Mapped[str]
    state: Mapped[str]
    base_model: Mapped[dict[str, Any]]
    training_dataset: Mapped[dict[str, Any]]
    evaluation_dataset: Mapped[dict[str, Any] | None]
    config: Mapped[dict[str, Any]]
    request: Mapped[dict[str, Any] | None]
    priority: Mapped[int] = mapped_column(server_default="0", default=0)
    needs: Mapped[dict[str, Any]] = mapped_column(server_default="{}", default=dict)
    queued_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(server_default="0", default=0)
    total_failures: Mapped[int] = mapped_column(server_default="0", default=0)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None]


class RunRow(JobColumns, Base):
    """A run and its experiment: inputs as they were at launch, state, lease, progress and outcome.

    `version` counts the edits of a draft, `chosen` is what the trainer decided itself, each with its reason. `origin`
    names the run that this one was cloned from or reproduces.
    """

    __tablename__ = "run"
    __table_args__ = (
        Index("ix_run_state", "state", "created_at"),
        Index("ix_run_newest", "created_at", "id"),
        Index("ix_run_tags", "tags", postgresql_using="gin"),
        Index("ix_run_queue", "pool", "priority", "created_at"),
        Index("ix_run_claim", "claim_id"),
    )

    experiment_id: Mapped[UUID] = mapped_column(unique=True)
    family: Mapped[str]
    goal: Mapped[str | None]
    description: Mapped[str | None]
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    tags: Mapped[list[str]] = mapped_column(JSONB, server_default="[]", default=list)
    origin: Mapped[dict[str, Any] | None]
    plan_id: Mapped[UUID | None]
    chosen: Mapped[dict[str, Any] | None]
    progress: Mapped[dict[str, Any]] = mapped_column(server_default="{}", default=dict)
    result: Mapped[dict[str, Any] | None]


class PlanRow(JobColumns, Base):
    """The preflight of a run to come; `report` is what a trainer found, and all that it leaves."""

    __tablename__ = "plan"
    __table_args__ = (Index("ix_plan_state", "state", "created_at"), Index("ix_plan_claim", "claim_id"))

    report: Mapped[dict[str, Any] | None]


class AttemptRow(Base):
    """One lease of a run, from claim to end."""

    __tablename__ = "attempt"

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]
    worker: Mapped[str]
    claimed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    code: Mapped[str | None]
    resumed_from_step: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)


class TransitionRow(Base):
    """One change of a run's state."""

    __tablename__ = "transition"
    __table_args__ = (Index("ix_transition_run", "run_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    run_id: Mapped[UUID]
    state: Mapped[str]
    attempt: Mapped[int]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class WorkerRow(Base):
    """A trainer as it last said of itself; `capabilities` are its device, cores, memory and versions."""

    __tablename__ = "worker"

    name: Mapped[str] = mapped_column(primary_key=True)
    pool: Mapped[str]
    capabilities: Mapped[dict[str, Any]]
    first_seen_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class CheckpointRow(Base):
    """A checkpoint that is stored completely; `step` counts optimiser steps."""

    __tablename__ = "checkpoint"

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    epoch: Mapped[int]
    prefix: Mapped[str]
    manifest_sha256: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    metrics: Mapped[dict[str, Any]] = mapped_column(server_default="{}", default=dict)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class DatasetRow(Base):
    """What this service needs to know of a processed dataset; a projection of the datasets service's events."""

    __tablename__ = "dataset"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(index=True)
    family: Mapped[str] = mapped_column(index=True)
    version: Mapped[int]
    row_format: Mapped[str]
    mapping: Mapped[dict[str, Any]]
    rows: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    object_key: Mapped[str]
    deleted: Mapped[bool] = mapped_column(server_default="false", default=False)


class MetricRow(Base):
    """One metric point."""

    __tablename__ = "metric"

    experiment_id: Mapped[UUID] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    value: Mapped[float | None]
    time: Mapped[datetime]


class ExtremesRow(Base):
    """The least and the greatest value of a series within `EXTREMES_STEPS` steps; `bucket` is the step divided by it.

    Kept beside the points so that a long series can be drawn without reading all of it.
    """

    __tablename__ = "metric_extremes"

    experiment_id: Mapped[UUID] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    bucket: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    min_step: Mapped[int] = mapped_column(BigInteger)
    min_value: Mapped[float]
    max_step: Mapped[int] = mapped_column(BigInteger)
    max_value: Mapped[float]


class LogRow(Base):
    """One log line of a trainer; `seq` orders them as they were stored."""

    __tablename__ = "log_line"
    __table_args__ = (Index("ix_log_line_place", "experiment_id", "seq"),)

    experiment_id: Mapped[UUID] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    batch: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(), index=True)
    time: Mapped[datetime]
    level: Mapped[str]
    message: Mapped[str]
