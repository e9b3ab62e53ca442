"""Where models come from, where data went, and what happened to a model."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query
from starlette.responses import JSONResponse, PlainTextResponse, Response

from slm_registry import store
from slm_registry.domain.graph import Graph
from slm_registry.schemas import ContainingModels, Happening, Lineage, Timeline
from slm_registry.service import lineage, openlineage, reading
from slm_registry.service.lineage import Direction
from slm_shared.http.access import Viewer
from slm_shared.http.routing import ReadSession, router

routes = router(tags=["lineage"])

Way = Annotated[Direction, Query(description="up: what it was made from; down: what came of it; both.")]
Depth = Annotated[int | None, Query(ge=1, le=1000, description="At most so many steps; without: any number.")]
AsOf = Annotated[datetime | None, Query(description="As it was known at this time (RFC 3339).")]
Format = Annotated[Literal["json", "mermaid"], Query()]


@routes.get("/api/models/{reference}/lineage", response_model=Lineage)
async def get_lineage(
    reference: str,
    _: Viewer,
    session: ReadSession,
    direction: Way = "up",
    depth: Depth = None,
    as_of: AsOf = None,
    format: Annotated[Literal["json", "mermaid", "openlineage"], Query()] = "json",
) -> Response:
    """Where a model comes from and what it scored, or what came of it: JSON, Mermaid, or OpenLineage events."""
    row = await reading.get_model(session, reference, deleted=True)
    if format == "openlineage":
        events = await _events(session, row.id)
        return JSONResponse(events)
    graph = await lineage.lineage_of_model(session, row, direction=direction, depth=depth, as_of=as_of)
    return _shown(graph, format)


@routes.get("/api/models:lineage", response_model=Lineage)
async def get_lineage_of_node(
    _: Viewer,
    session: ReadSession,
    node: Annotated[str, Query(max_length=200, description="Id of anything in a lineage, or name of a dataset.")],
    direction: Way = "both",
    depth: Depth = None,
    as_of: AsOf = None,
    format: Format = "json",
) -> Response:
    """The lineage around a dataset, run, experiment, attempt, evaluation or alias."""
    graph = await lineage.lineage_of_node(session, node, direction=direction, depth=depth, as_of=as_of)
    return _shown(graph, format)


@routes.get("/api/models:containing")
async def get_models_containing(
    _: Viewer,
    session: ReadSession,
    dataset: Annotated[str, Query(max_length=200, description="Id or name of a dataset version.")],
    as_of: AsOf = None,
) -> ContainingModels:
    """Every model that contains a dataset version, directly or through its base; deleted ones too."""
    found = await lineage.models_containing(session, dataset, as_of=as_of)
    return ContainingModels(dataset=dataset, models=found)


@routes.get("/api/models/{reference}/timeline")
async def get_timeline(
    reference: str,
    _: Viewer,
    session: ReadSession,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Timeline:
    """What happened to a model, newest first."""
    row = await reading.get_model(session, reference, deleted=True)
    rows = await store.facts_of_model(session, row.id, before=before, limit=limit + 1)
    items = [Happening(seq=each.seq, at=each.at, type=each.subject, data=each.body) for each in rows[:limit]]
    return Timeline(items=items, next_before=items[-1].seq if len(rows) > limit else None)


async def _events(session: ReadSession, model_id: Any) -> list[dict[str, Any]]:
    """The jobs that made and measured a model, oldest first."""
    rows = await store.facts_of_model(session, model_id, before=None, limit=1000)
    found = (openlineage.run_events(row.subject, row.body, row.at) for row in reversed(rows))
    return [openlineage.as_json(event) for events in found for event in events]


def _shown(graph: Graph, format: str) -> Response:
    """The graph as it is answered; written out at once, because a large one would be copied twice on the way."""
    if format == "mermaid":
        return PlainTextResponse(graph.mermaid())
    nodes = [{"id": node.id, "type": node.type, "name": node.name} for node in graph.nodes]
    edges = [
        {"source": edge.source, "target": edge.target, "relation": edge.relation, "at": edge.at and edge.at.isoformat()}
        for edge in graph.edges
    ]
    return JSONResponse({"nodes": nodes, "edges": edges, "truncated": graph.truncated})
