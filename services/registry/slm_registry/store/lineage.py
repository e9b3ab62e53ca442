"""Queries that walk the lineage."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Text, and_, any_, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from slm_registry.domain.graph import Heading, LineageEdge, LineageNode
from slm_registry.tables import EdgeRow, NodeRow

MAX_NODES = 5000


def _ends(heading: Heading) -> tuple[InstrumentedAttribute[str], InstrumentedAttribute[str]]:
    """Where an edge is entered and where it leads to."""
    return (EdgeRow.target, EdgeRow.source) if heading == "up" else (EdgeRow.source, EdgeRow.target)


def _among(column: InstrumentedAttribute[str], ids: Collection[str]) -> ColumnElement[bool]:
    """Whether a column is one of `ids`, as one parameter however many they are."""
    return column == any_(literal(list(ids), ARRAY(Text)))


def _valid(as_of: datetime | None) -> ColumnElement[bool]:
    if as_of is None:
        return EdgeRow.until.is_(None)
    return and_(EdgeRow.at <= as_of, or_(EdgeRow.until.is_(None), EdgeRow.until > as_of))


async def reachable(
    session: AsyncSession,
    start: Collection[str],
    heading: Heading,
    *,
    as_of: datetime | None = None,
    relations: Collection[str] | None = None,
) -> set[str]:
    """Every node that is led to from `start`, itself included, at any depth; stops after 5,000."""
    here, there = _ends(heading)
    found = select(func.unnest(literal(list(start), ARRAY(Text))).label("id")).cte("found", recursive=True)
    step = select(there).join(found, here == found.c.id).where(_valid(as_of))
    if relations is not None:
        step = step.where(EdgeRow.relation.in_(relations))
    found = found.union(step)
    # One more than is shown tells that there are more. UNION (without ALL) in the recursion ends it in a circle.
    return set((await session.scalars(select(found.c.id).limit(MAX_NODES + 1))).all())


async def neighbours(
    session: AsyncSession, nodes: Collection[str], heading: Heading, *, as_of: datetime | None = None
) -> set[str]:
    """Every node one step from these."""
    here, there = _ends(heading)
    return set((await session.scalars(select(there).where(_among(here, nodes), _valid(as_of)))).all())


async def nodes_of(session: AsyncSession, ids: Collection[str], *, as_of: datetime | None = None) -> list[LineageNode]:
    """The nodes among `ids`, oldest first."""
    columns = (NodeRow.id, NodeRow.type, NodeRow.name)
    statement = select(*columns).where(_among(NodeRow.id, ids)).order_by(NodeRow.at, NodeRow.id)
    if as_of is not None:
        statement = statement.where(NodeRow.at <= as_of)
    return [LineageNode(*row) for row in (await session.execute(statement)).all()]


async def edges_among(session: AsyncSession, ids: Collection[str], *, as_of: datetime | None) -> list[LineageEdge]:
    """The edges whose both ends are among `ids`, oldest first."""
    columns = (EdgeRow.source, EdgeRow.target, EdgeRow.relation, EdgeRow.at)
    both = (_among(EdgeRow.source, ids), _among(EdgeRow.target, ids), _valid(as_of))
    statement = select(*columns).where(*both).order_by(EdgeRow.at, EdgeRow.source, EdgeRow.target)
    return [LineageEdge(*row) for row in (await session.execute(statement)).all()]


async def evaluation_nodes_of(session: AsyncSession, model_id: str, *, as_of: datetime | None) -> Sequence[str]:
    """The evaluations of a model."""
    here = (EdgeRow.source == model_id, EdgeRow.relation == "is measured by", _valid(as_of))
    return (await session.scalars(select(EdgeRow.target).where(*here))).all()


async def find_node(session: AsyncSession, reference: str) -> NodeRow | None:
    """A node by id, or a dataset by name."""
    found = await session.get(NodeRow, reference)
    if found is not None:
        return found
    return await session.scalar(select(NodeRow).where(NodeRow.type == "dataset", NodeRow.name == reference))
