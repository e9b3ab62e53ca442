"""Every query of the registry."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased, with_expression

from slm_registry.tables import DatasetRow, EvaluationRow, FamilyRow, ModelRow
from slm_shared.events import DatasetProcessed, EvaluationCompleted
from slm_shared.paging import PageRequest, keyset

_Sibling = aliased(ModelRow)
_LATEST = select(func.max(_Sibling.version)).where(_Sibling.family == ModelRow.family).scalar_subquery()
# Built once: for one row, building a statement takes as long as PostgreSQL's answer.
_MODELS = select(ModelRow).options(with_expression(ModelRow.latest_version, _LATEST))
_BY_ID = _MODELS.where(ModelRow.id == bindparam("id"))
_NAMED = or_(ModelRow.name == bindparam("name"), ModelRow.family == bindparam("name"))
_BY_NAME = _MODELS.where(_NAMED).order_by(ModelRow.version.desc()).limit(1)


async def next_version(session: AsyncSession, family: str) -> int:
    """The next version of a family; gapless, because the counter's row is locked until the caller commits."""
    statement = insert(FamilyRow).values(name=family, last_version=1)
    counted = statement.on_conflict_do_update(
        index_elements=[FamilyRow.name], set_={"last_version": FamilyRow.last_version + 1}
    ).returning(FamilyRow.last_version)
    version: int = (await session.execute(counted)).scalar_one()
    return version


async def raise_version(session: AsyncSession, family: str, version: int) -> None:
    """Let a family's counter be at least `version`."""
    statement = insert(FamilyRow).values(name=family, last_version=version)
    highest = func.greatest(FamilyRow.last_version, version)
    await session.execute(
        statement.on_conflict_do_update(index_elements=[FamilyRow.name], set_={"last_version": highest})
    )


async def add_model(session: AsyncSession, values: Mapping[str, Any]) -> ModelRow | None:
    """Add a model; None when its id, name or experiment is registered already."""
    statement = insert(ModelRow).values(**values).on_conflict_do_nothing().returning(ModelRow)
    return (await session.execute(statement)).scalar_one_or_none()


async def find_model(session: AsyncSession, reference: str) -> ModelRow | None:
    """A model by id, name, or family (its latest version)."""
    try:
        return await session.scalar(_BY_ID, {"id": UUID(reference)})
    except ValueError:
        return await session.scalar(_BY_NAME, {"name": reference})


async def find_model_of_experiment(session: AsyncSession, experiment_id: UUID) -> ModelRow | None:
    """The model that an experiment made."""
    return await session.scalar(select(ModelRow).where(ModelRow.experiment_id == experiment_id))


async def list_models(
    session: AsyncSession,
    query: PageRequest,
    *,
    kind: str | None = None,
    family: str | None = None,
    experiment_id: UUID | None = None,
    q: str | None = None,
) -> Sequence[ModelRow]:
    """One page of models (and one more row), newest first."""
    statement = _MODELS
    if kind is not None:
        statement = statement.where(ModelRow.kind == kind)
    if family is not None:
        statement = statement.where(ModelRow.family == family)
    if experiment_id is not None:
        statement = statement.where(ModelRow.experiment_id == experiment_id)
    if q:
        statement = statement.where(ModelRow.name.icontains(q, autoescape=True))
    return (await session.scalars(keyset(statement, key=(ModelRow.created_at, ModelRow.id), query=query))).all()


async def project_dataset(session: AsyncSession, event: DatasetProcessed) -> None:
    """Remember a processed dataset."""
    values = {"id": event.dataset_id, **event.model_dump(include={"name", "rows", "row_format", "sha256"})}
    await session.execute(insert(DatasetRow).values(**values).on_conflict_do_nothing())


async def find_datasets(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, DatasetRow]:
    """The known datasets among `ids`."""
    rows = (await session.scalars(select(DatasetRow).where(DatasetRow.id.in_(ids)))).all()
    return {row.id: row for row in rows}


async def project_evaluation(session: AsyncSession, event: EvaluationCompleted) -> None:
    """Remember a finished evaluation."""
    fields = {"model_id", "model_name", "dataset_id", "dataset_name", "rows", "metrics"}
    values = {"id": event.evaluation_id, **event.model_dump(include=fields)}
    await session.execute(insert(EvaluationRow).values(**values).on_conflict_do_nothing())


async def evaluations_of(session: AsyncSession, model_ids: Sequence[UUID]) -> Sequence[EvaluationRow]:
    """Every evaluation of these models, oldest first."""
    statement = select(EvaluationRow).where(EvaluationRow.model_id.in_(model_ids))
    return (await session.scalars(statement.order_by(EvaluationRow.completed_at, EvaluationRow.id))).all()
