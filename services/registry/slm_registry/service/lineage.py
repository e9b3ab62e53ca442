"""Walking the lineage: where something comes from, where it went, and which models contain a dataset."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from openlineage.client.event_v2 import RunEvent
from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry import store
from slm_registry.domain.graph import CONTAINS, Heading, Lineage
from slm_registry.errors import LineageNodeNotFoundError
from slm_registry.schemas import Happening, Model, Timeline
from slm_registry.service.openlineage import run_events
from slm_registry.service.reading import get_model
from slm_registry.tables import ModelRow, NodeRow

Direction = Literal["up", "down", "both"]
MAX_TOLD = 1000


async def lineage_of_model(
    session: AsyncSession, reference: str, *, direction: Direction, depth: int | None, as_of: datetime | None
) -> Lineage:
    """The graph around a model: up to what it was made from and scored on, down to what came of it, or both.

    Raises ModelNotFoundError; a deleted model has a lineage.
    """
    row = await get_model(session, reference, deleted=True)
    start = {str(row.id)}
    if direction != "down":
        start |= set(await store.evaluation_nodes_of(session, str(row.id), as_of=as_of))
    return await graph_around(session, start, direction=direction, depth=depth, as_of=as_of)


async def lineage_of_node(
    session: AsyncSession, reference: str, *, direction: Direction, depth: int | None, as_of: datetime | None
) -> Lineage:
    """The graph around any node, by its id, or around a dataset by name. Raises LineageNodeNotFoundError."""
    node = await _find(session, reference)
    return await graph_around(session, {node.id}, direction=direction, depth=depth, as_of=as_of)


async def graph_around(
    session: AsyncSession, start: Collection[str], *, direction: Direction, depth: int | None, as_of: datetime | None
) -> Lineage:
    """Nodes within `depth` steps of `start` (any number without), and the edges among them."""
    headings: Sequence[Heading] = ("up", "down") if direction == "both" else (direction,)
    found = set(start)
    for heading in headings:
        found |= await _walk(session, start, heading, depth=depth, as_of=as_of)
    kept = found if len(found) <= store.MAX_NODES else set(sorted(found)[: store.MAX_NODES]) | set(start)
    nodes = await store.nodes_of(session, kept, as_of=as_of)
    edges = await store.edges_among(session, kept, as_of=as_of)
    return Lineage(tuple(nodes), tuple(edges), truncated=len(found) > store.MAX_NODES)


async def drawing_of_model(session: AsyncSession, row: ModelRow, *, at_most: int) -> str | None:
    """What a model was made from and scored on as a Mermaid flowchart, unless it is too large to be read."""
    start = {str(row.id), *await store.evaluation_nodes_of(session, str(row.id), as_of=None)}
    if not 1 < len(start | await store.reachable(session, start, "up")) <= at_most:
        return None
    return (await graph_around(session, start, direction="up", depth=None, as_of=None)).mermaid()


async def _walk(
    session: AsyncSession, start: Collection[str], heading: Heading, *, depth: int | None, as_of: datetime | None
) -> set[str]:
    if depth is None:
        return await store.reachable(session, start, heading, as_of=as_of)
    found, edge = set(start), set(start)
    for _ in range(depth):
        edge = await store.neighbours(session, edge, heading, as_of=as_of) - found
        if not edge or len(found) > store.MAX_NODES:
            break
        found |= edge
    return found


async def models_containing(session: AsyncSession, reference: str, *, as_of: datetime | None) -> list[Model]:
    """Every model that was trained on a dataset version, or on a model that was; deleted ones too, oldest first.

    Raises LineageNodeNotFoundError.
    """
    node = await _find(session, reference)
    if node.type != "dataset":
        raise LineageNodeNotFoundError("There is no such dataset in any lineage.")
    found = await store.reachable(session, {node.id}, "down", as_of=as_of, relations=CONTAINS)
    ids = [UUID(each.id) for each in await store.nodes_of(session, found) if each.type == "model"]
    rows = await store.models_of(session, ids)
    return sorted((Model.of(row) for row in rows.values()), key=lambda model: (model.created_at, model.id))


async def _find(session: AsyncSession, reference: str) -> NodeRow:
    node = await store.find_node(session, reference)
    if node is None:
        hint = "Ask with the id of a dataset, run, experiment, model or evaluation, or the name of a dataset."
        raise LineageNodeNotFoundError("Nothing of that id or name is in any lineage.", hint=hint)
    return node


async def timeline_of(session: AsyncSession, reference: str, *, before: int | None, limit: int) -> Timeline:
    """What happened to a model, newest first, or before fact `before`. Raises ModelNotFoundError."""
    row = await get_model(session, reference, deleted=True)
    rows = await store.facts_of_model(session, row.id, before=before, limit=limit + 1)
    items = [Happening(seq=each.seq, at=each.at, type=each.subject, data=each.body) for each in rows[:limit]]
    return Timeline(items=items, next_before=items[-1].seq if len(rows) > limit else None)


async def run_events_of(session: AsyncSession, reference: str) -> list[RunEvent]:
    """The jobs that made and measured a model as OpenLineage tells them, oldest first. Raises ModelNotFoundError."""
    row = await get_model(session, reference, deleted=True)
    rows = await store.facts_of_model(session, row.id, before=None, limit=MAX_TOLD)
    return [event for each in reversed(rows) for event in run_events(each.subject, each.body, each.at)]
