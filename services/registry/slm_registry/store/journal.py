"""Queries about the journal, and the projections that follow from it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry.domain.graph import Drawing
from slm_registry.tables import DatasetRow, EdgeRow, EmissionRow, EvaluationRow, FactRow, NodeRow, ProjectionRow

DATASET_FIELDS = ("name", "rows", "row_format", "sha256")
EVALUATION_FIELDS = ("model_id", "model_name", "dataset_id", "dataset_name", "rows", "metrics")


async def add_fact(session: AsyncSession, subject: str, body: Mapping[str, Any], *, model_id: UUID | None) -> datetime:
    """Add a fact; returns when the registry took note of it."""
    statement = insert(FactRow).values(subject=subject, body=dict(body), model_id=model_id).returning(FactRow.at)
    at: datetime = (await session.execute(statement)).scalar_one()
    return at


async def facts_of_model(session: AsyncSession, model_id: UUID, *, before: int | None, limit: int) -> Sequence[FactRow]:
    """The newest facts about a model, or the newest before fact `before`."""
    statement = select(FactRow).where(FactRow.model_id == model_id)
    if before is not None:
        statement = statement.where(FactRow.seq < before)
    return (await session.scalars(statement.order_by(FactRow.seq.desc()).limit(limit))).all()


async def is_known(session: AsyncSession, subject: str, body: Mapping[str, Any], *, key: str) -> bool:
    """Whether a projection has this dataset or evaluation already."""
    row: type[DatasetRow] | type[EvaluationRow] = DatasetRow if subject == "dataset.processed" else EvaluationRow
    return await session.get(row, UUID(str(body[key]))) is not None


async def project_dataset(session: AsyncSession, body: Mapping[str, Any]) -> None:
    """Remember a processed dataset."""
    values = {"id": UUID(body["dataset_id"]), **{name: body[name] for name in DATASET_FIELDS}}
    await session.execute(insert(DatasetRow).values(**values).on_conflict_do_nothing())


async def project_evaluation(session: AsyncSession, body: Mapping[str, Any], at: datetime) -> None:
    """Remember a finished evaluation."""
    values = {"id": UUID(body["evaluation_id"]), **{name: body[name] for name in EVALUATION_FIELDS}}
    values |= {name: UUID(body[name]) for name in ("model_id", "dataset_id")}
    await session.execute(insert(EvaluationRow).values(**values, completed_at=at).on_conflict_do_nothing())


async def find_datasets(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, DatasetRow]:
    """The known datasets among `ids`."""
    rows = (await session.scalars(select(DatasetRow).where(DatasetRow.id.in_(ids)))).all()
    return {row.id: row for row in rows}


async def evaluations_of(session: AsyncSession, model_ids: Sequence[UUID]) -> Sequence[EvaluationRow]:
    """Every evaluation of these models, oldest first."""
    statement = select(EvaluationRow).where(EvaluationRow.model_id.in_(model_ids))
    return (await session.scalars(statement.order_by(EvaluationRow.completed_at, EvaluationRow.id))).all()


async def add_drawing(session: AsyncSession, drawing: Drawing, at: datetime) -> None:
    """Add nodes and edges; a node that was only known by its id learns its name."""
    for target, relation in drawing.ended:
        current = (EdgeRow.target == target, EdgeRow.relation == relation, EdgeRow.until.is_(None))
        await session.execute(update(EdgeRow).where(*current).values(until=at))
    if drawing.nodes:
        # One INSERT may not touch a row twice: of two nodes with one id that with a name is kept. Sorted, so that two
        # transactions lock common rows in the same order and never wait for each other.
        named = {node.id: node for node in sorted(drawing.nodes, key=lambda node: bool(node.name))}
        statement = insert(NodeRow).values(
            [{"id": node.id, "type": node.type, "name": node.name, "at": at} for _, node in sorted(named.items())]
        )
        nameless = statement.on_conflict_do_update(
            index_elements=["id"],
            set_={"name": statement.excluded.name},
            where=(NodeRow.name == "") & (statement.excluded.name != ""),
        )
        await session.execute(nameless)
    for edge in drawing.edges:
        here = {"source": edge.source, "target": edge.target, "relation": edge.relation}
        same = [getattr(EdgeRow, name) == value for name, value in here.items()]
        known = select(EdgeRow.source).where(*same, EdgeRow.until.is_(None))
        if (await session.execute(known.limit(1))).first() is None:
            await session.execute(insert(EdgeRow).values(**here, at=at).on_conflict_do_nothing())


async def truncate_projections(session: AsyncSession) -> None:
    """Forget everything that follows from the journal; others wait until the caller's transaction ends."""
    # TRUNCATE locks the tables: nobody adds to a projection of which half is drawn.
    await session.execute(text("TRUNCATE dataset, evaluation, lineage_node, lineage_edge"))


async def all_facts(session: AsyncSession) -> Sequence[FactRow]:
    """Every fact in the order it was noted."""
    return (await session.scalars(select(FactRow).order_by(FactRow.seq))).all()


async def projection_version(session: AsyncSession) -> int:
    """Which version of the code drew the projections; locked for the caller's transaction."""
    version: int = (await session.scalars(select(ProjectionRow.version).with_for_update())).one()
    return version


async def set_projection_version(session: AsyncSession, version: int) -> None:
    """Note which version of the code drew the projections."""
    await session.execute(update(ProjectionRow).values(version=version))


async def claim_emission(session: AsyncSession, *, ttl: timedelta) -> datetime | None:
    """Let the caller alone emit facts for `ttl`; returns when that ends, or None while another process does."""
    now = func.clock_timestamp()
    free = or_(EmissionRow.claim_expires_at.is_(None), EmissionRow.claim_expires_at <= now)
    statement = update(EmissionRow).where(free).values(claim_expires_at=now + ttl)
    return await session.scalar(statement.returning(EmissionRow.claim_expires_at))


async def unemitted_facts(session: AsyncSession, *, limit: int) -> Sequence[FactRow]:
    """The oldest facts that were not emitted."""
    statement = select(FactRow).where(FactRow.emitted_at.is_(None)).order_by(FactRow.seq).limit(limit)
    return (await session.scalars(statement)).all()


async def mark_emitted(session: AsyncSession, seqs: Sequence[int], *, claim: datetime) -> None:
    """Note that facts were emitted, and give the claim back unless it has expired and another process has it."""
    await session.execute(update(FactRow).where(FactRow.seq.in_(seqs)).values(emitted_at=func.clock_timestamp()))
    mine = EmissionRow.claim_expires_at == claim
    await session.execute(update(EmissionRow).where(mine).values(claim_expires_at=None))


async def regressions_of(session: AsyncSession, model_id: UUID) -> Sequence[FactRow]:
    """What a model was found to be worse in than the version before it, oldest first."""
    mine = (FactRow.model_id == model_id, FactRow.subject == "evaluation.regressed")
    return (await session.scalars(select(FactRow).where(*mine).order_by(FactRow.seq))).all()
