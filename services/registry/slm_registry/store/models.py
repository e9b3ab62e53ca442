"""Queries about models and their versions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, Text, bindparam, cast, func, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased, with_expression

from slm_registry.schemas import ModelFilters
from slm_registry.tables import AliasRow, FamilyRow, ModelRow
from slm_shared.http.paging import PageRequest
from slm_shared.http.sorting import Order, Sort, sorted_page

_Sibling = aliased(ModelRow)
_LATEST = (
    select(func.max(_Sibling.version))
    .where(_Sibling.family == ModelRow.family, _Sibling.deleted_at.is_(None))
    .scalar_subquery()
)
_Alias = aliased(AliasRow)
_ALIASES = (
    select(func.array_agg(_Alias.name.distinct(), type_=ARRAY(Text)))
    .where(_Alias.model_id == ModelRow.id)
    .scalar_subquery()
)
# Built once: for one row, building a statement takes as long as PostgreSQL's answer.
_MODELS = select(ModelRow).options(
    with_expression(ModelRow.latest_version, _LATEST), with_expression(ModelRow.aliases, _ALIASES)
)
_LIVING = _MODELS.where(ModelRow.deleted_at.is_(None))
_NAMED = or_(ModelRow.name == bindparam("name"), ModelRow.family == bindparam("name"))
_BY_ID = _MODELS.where(ModelRow.id == bindparam("id"))
_BY_NAME = _LIVING.where(_NAMED).order_by(ModelRow.version.desc()).limit(1)
_DELETED_BY_NAME = _MODELS.where(ModelRow.name == bindparam("name"))
_BY_ALIAS = _LIVING.join(AliasRow, AliasRow.model_id == ModelRow.id).where(
    AliasRow.family == bindparam("family"), AliasRow.name == bindparam("alias")
)
_SEARCH: ColumnElement[Any] = literal_column("model.search")
# Written out, because an index on an expression is only found by the very same expression.
_BASE_NAME: ColumnElement[str] = literal_column("coalesce(model.base_model->>'name', '')", Text)
_DATASET_NAME: ColumnElement[str] = literal_column("coalesce(model.training_dataset->>'name', '')", Text)
_BASE_ID: ColumnElement[str] = literal_column("(model.base_model->>'id')", Text)
_MISSING: ColumnElement[Any] = literal_column("'Infinity'")
_NOTHING: ColumnElement[Any] = literal_column("''")
_NO_STEPS: ColumnElement[Any] = literal_column("2147483647")

SORTS: dict[str, Sort] = {
    "created_at": Sort(ModelRow.created_at.expression, datetime),
    "name": Sort(ModelRow.name.expression, str),
    "family": Sort(ModelRow.family.expression, str),
    "version": Sort(ModelRow.version.expression, int),
    "kind": Sort(ModelRow.kind.expression, str),
    "base_model": Sort(_BASE_NAME, str),
    "training_dataset": Sort(_DATASET_NAME, str),
    "method": Sort(func.coalesce(ModelRow.method, _NOTHING), str),
    "size_bytes": Sort(ModelRow.size_bytes.expression, int),
    "parameter_count": Sort(ModelRow.parameter_count.expression, int),
    "steps": Sort(func.coalesce(ModelRow.steps, _NO_STEPS), int),
    "duration_s": Sort(func.coalesce(ModelRow.duration_s, _MISSING), float),
    "train_loss": Sort(func.coalesce(ModelRow.train_loss, _MISSING), float),
    "eval_loss": Sort(func.coalesce(ModelRow.eval_loss, _MISSING), float),
}


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


async def lock_family(session: AsyncSession, family: str) -> None:
    """Hold a family until the caller's transaction ends: no other transaction moves its aliases or versions."""
    await session.execute(select(FamilyRow.name).where(FamilyRow.name == family).with_for_update())


async def add_model(session: AsyncSession, new: ModelRow) -> ModelRow | None:
    """Add a model; None when its id, name or experiment is registered already."""
    named = {column.key: getattr(new, column.key) for column in new.__table__.columns}
    values = {name: value for name, value in named.items() if value is not None}
    statement = insert(ModelRow).values(**values).on_conflict_do_nothing().returning(ModelRow)
    return (await session.execute(statement)).scalar_one_or_none()


async def find_model(session: AsyncSession, reference: str) -> ModelRow | None:
    """A model by id, name, family (its latest version) or `<family>@<alias>`; a deleted one by id or name."""
    try:
        return await session.scalar(_BY_ID, {"id": UUID(reference)})
    except ValueError:
        family, at, alias = reference.partition("@")
        if at:
            return await session.scalar(_BY_ALIAS, {"family": family, "alias": alias})
        found = await session.scalar(_BY_NAME, {"name": reference})
        return found or await session.scalar(_DELETED_BY_NAME, {"name": reference})


async def model_exists(session: AsyncSession, model_id: UUID) -> bool:
    """Whether a model was registered here, deleted or not."""
    return await session.scalar(select(ModelRow.id).where(ModelRow.id == model_id)) is not None


async def find_model_of_experiment(session: AsyncSession, experiment_id: UUID) -> ModelRow | None:
    """The model that an experiment made."""
    return await session.scalar(select(ModelRow).where(ModelRow.experiment_id == experiment_id))


async def latest_version_of(session: AsyncSession, family: str) -> ModelRow | None:
    """The newest version of a family that was not deleted."""
    statement = _LIVING.where(ModelRow.family == family).order_by(ModelRow.version.desc()).limit(1)
    return await session.scalar(statement.execution_options(populate_existing=True))


async def models_of(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, ModelRow]:
    """The models among `ids`, deleted ones too."""
    rows = (await session.scalars(_MODELS.where(ModelRow.id.in_(ids)))).all()
    return {row.id: row for row in rows}


async def list_models(
    session: AsyncSession, query: PageRequest, order: Order, filters: ModelFilters
) -> Sequence[Row[tuple[ModelRow, Any]]]:
    """One page of models (and one more row), each with its place in the order."""
    statement = _filtered(_MODELS if filters.deleted else _LIVING, filters)
    identity = ModelRow.id.expression
    rows: Sequence[Row[tuple[ModelRow, Any]]]
    rows = (await session.execute(sorted_page(statement, order, identity=identity, query=query))).all()
    return rows


def _filtered(statement: Select[Any], filters: ModelFilters) -> Select[Any]:
    for name in ("kind", "family", "experiment_id"):
        if (value := getattr(filters, name)) is not None:
            statement = statement.where(getattr(ModelRow, name) == value)
    if filters.base_model is not None:
        base = _BASE_ID if is_id(filters.base_model) else _BASE_NAME
        statement = statement.where(base == filters.base_model)
    if filters.dataset is not None:
        field = "id" if is_id(filters.dataset) else "name"
        columns = (f"model.{use}_dataset->>'{field}'" for use in ("training", "evaluation"))
        statement = statement.where(or_(*(literal_column(each, Text) == filters.dataset for each in columns)))
    if filters.tag is not None:
        statement = statement.where(ModelRow.tags.op("@>")(cast([filters.tag], JSONB)))
    if filters.alias is not None:
        named = select(AliasRow.model_id).where(AliasRow.name == filters.alias)
        statement = statement.where(ModelRow.id.in_(named))
    if filters.latest is not None:
        is_latest = ModelRow.version == _LATEST
        statement = statement.where(is_latest if filters.latest else ~is_latest)
    if filters.q:
        words = func.websearch_to_tsquery(literal_column("'simple'"), filters.q)
        statement = statement.where(or_(ModelRow.name.icontains(filters.q, autoescape=True), _SEARCH.op("@@")(words)))
    return statement


def is_id(reference: str) -> bool:
    """Whether a reference is an id, not a name."""
    try:
        return bool(UUID(reference))
    except ValueError:
        return False


async def edit_model(session: AsyncSession, row: ModelRow, values: Mapping[str, Any], *, revision: int) -> bool:
    """Change what may be changed, if the model still stands at `revision`."""
    here = (ModelRow.id == row.id, ModelRow.revision == revision, ModelRow.deleted_at.is_(None))
    statement = update(ModelRow).where(*here).values(**values, revision=revision + 1).returning(ModelRow.id)
    return (await session.execute(statement)).first() is not None


async def set_signature(session: AsyncSession, row: ModelRow, signature: str) -> bool:
    """Sign a model that has no signature; False when it has one, or other files by now."""
    here = (ModelRow.id == row.id, ModelRow.signature.is_(None), ModelRow.manifest_sha256 == row.manifest_sha256)
    statement = update(ModelRow).where(*here).values(signature=signature).returning(ModelRow.id)
    return (await session.execute(statement)).first() is not None


async def mark_deleted(session: AsyncSession, row: ModelRow) -> bool:
    """Mark a model as deleted; False when it was already."""
    here = (ModelRow.id == row.id, ModelRow.deleted_at.is_(None))
    statement = update(ModelRow).where(*here).values(deleted_at=func.clock_timestamp()).returning(ModelRow.id)
    return (await session.execute(statement)).first() is not None


async def children_of(session: AsyncSession, model_id: UUID, *, limit: int) -> Sequence[str]:
    """Names of the living models that were trained from this one, oldest first."""
    mine = (_BASE_ID.in_([str(model_id)]), ModelRow.deleted_at.is_(None))
    statement = select(ModelRow.name).where(*mine).order_by(ModelRow.created_at).limit(limit)
    return (await session.scalars(statement)).all()


async def shares_its_files(session: AsyncSession, row: ModelRow) -> bool:
    """Whether another living model has the same files."""
    same = (ModelRow.artifact_prefix == row.artifact_prefix, ModelRow.id != row.id, ModelRow.deleted_at.is_(None))
    return (await session.execute(select(ModelRow.id).where(*same).limit(1))).first() is not None
