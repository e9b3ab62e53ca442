"""Rows of the registry database."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, query_expression

from slm_shared.references import PinnedReference
from slm_shared.storage.columns import JsonOf

Moment = TIMESTAMP(timezone=True)


class Base(DeclarativeBase):
    """The registry database."""

    type_annotation_map = {  # noqa: RUF012  SQLAlchemy's own form
        datetime: Moment, dict[str, Any]: JSONB, str: Text, PinnedReference: JsonOf(PinnedReference),
    }  # fmt: skip


class FamilyRow(Base):
    """Counts the versions of a family without gaps."""

    __tablename__ = "family"

    name: Mapped[str] = mapped_column(primary_key=True)
    last_version: Mapped[int]


class ModelRow(Base):
    """One model version; a fine-tuned one has exactly one experiment, and an experiment at most one model.

    `latest_version` is the highest version of the family that was not deleted; the statements of `store` that show
    models fill it, as they fill `aliases`. `revision` counts the edits of description and tags. A deleted model stays
    as a tombstone, which lineages lead through. The column `search` (generated, tsvector) is not mapped.
    """

    __tablename__ = "model"
    __table_args__ = (UniqueConstraint("family", "version"), Index("ix_model_newest", "created_at", "id"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    family: Mapped[str]
    version: Mapped[int]
    kind: Mapped[str]
    base_model: Mapped[PinnedReference | None]
    experiment_id: Mapped[UUID | None] = mapped_column(unique=True)
    run_id: Mapped[UUID | None]
    run_name: Mapped[str | None]
    goal: Mapped[str | None]
    method: Mapped[str | None]
    training_dataset: Mapped[PinnedReference | None]
    evaluation_dataset: Mapped[PinnedReference | None]
    artifact_prefix: Mapped[str]
    manifest_key: Mapped[str]
    manifest_sha256: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    parameter_count: Mapped[int] = mapped_column(BigInteger)
    architecture: Mapped[dict[str, Any]]
    config: Mapped[dict[str, Any]]
    steps: Mapped[int | None]
    train_loss: Mapped[float | None]
    eval_loss: Mapped[float | None]
    duration_s: Mapped[float | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    description: Mapped[str | None]
    tags: Mapped[list[str]] = mapped_column(JSONB, server_default="[]", default=list)
    revision: Mapped[int] = mapped_column(server_default="1", default=1)
    owner: Mapped[str | None]
    deleted_at: Mapped[datetime | None]
    signature: Mapped[str | None]
    latest_version: Mapped[int | None] = query_expression()
    aliases: Mapped[list[str] | None] = query_expression()


class DatasetRow(Base):
    """What a card shows of a dataset; a projection of the datasets service's events."""

    __tablename__ = "dataset"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    rows: Mapped[int] = mapped_column(BigInteger)
    row_format: Mapped[str]
    sha256: Mapped[str]


class EvaluationRow(Base):
    """A finished evaluation; a projection of the evaluation service's events."""

    __tablename__ = "evaluation"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    model_id: Mapped[UUID] = mapped_column(index=True)
    model_name: Mapped[str]
    dataset_id: Mapped[UUID]
    dataset_name: Mapped[str]
    rows: Mapped[int] = mapped_column(BigInteger)
    metrics: Mapped[dict[str, Any]]
    completed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class AliasRow(Base):
    """A name within a family that leads to one model and may move to another."""

    __tablename__ = "alias"

    family: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    model_id: Mapped[UUID] = mapped_column(ForeignKey("model.id"), index=True)
    moved_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class AliasMoveRow(Base):
    """One move of an alias; without a model it was taken away. `evidence` is what a promotion was decided on."""

    __tablename__ = "alias_move"
    __table_args__ = (Index("ix_alias_move_of_alias", "family", "name", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    family: Mapped[str]
    name: Mapped[str]
    model_id: Mapped[UUID | None] = mapped_column(ForeignKey("model.id"))
    previous_model_id: Mapped[UUID | None] = mapped_column(ForeignKey("model.id"))
    moved_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    moved_by: Mapped[str]
    reason: Mapped[str]
    evidence: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]", default=list)


class UsageRow(Base):
    """How often a model was used in one way, e.g. downloaded, and when last."""

    __tablename__ = "usage"

    model_id: Mapped[UUID] = mapped_column(ForeignKey("model.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    last_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class FactRow(Base):
    """One thing that happened, as the registry took note of it; never changed but for `emitted_at`.

    The tables `dataset`, `evaluation`, `lineage_node` and `lineage_edge` follow from these rows alone, in their order.
    """

    __tablename__ = "fact"
    __table_args__ = (Index("ix_fact_of_model", "model_id", "seq"),)

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    subject: Mapped[str]
    model_id: Mapped[UUID | None]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    body: Mapped[dict[str, Any]]
    emitted_at: Mapped[datetime | None]


class NodeRow(Base):
    """Something in a lineage: a dataset, run, experiment, attempt, model, evaluation or alias."""

    __tablename__ = "lineage_node"
    __table_args__ = (Index("ix_lineage_node_name", "type", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    name: Mapped[str]
    at: Mapped[datetime]


class EdgeRow(Base):
    """`source` led to `target`; where an alias has moved on, `until` says when."""

    __tablename__ = "lineage_edge"
    __table_args__ = (Index("ix_lineage_edge_target", "target", "at"),)

    source: Mapped[str] = mapped_column(primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    relation: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    until: Mapped[datetime | None]


class ProjectionRow(Base):
    """Which version of the code has drawn the projections."""

    __tablename__ = "projection"

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default="true", default=True)
    version: Mapped[int]


class EmissionRow(Base):
    """Until when one process alone may emit facts; null while none does."""

    __tablename__ = "emission"

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default="true", default=True)
    claim_expires_at: Mapped[datetime | None]
