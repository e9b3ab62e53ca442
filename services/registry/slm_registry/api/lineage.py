"""Where models come from, where data went, and what happened to a model."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Query
from starlette.responses import JSONResponse, PlainTextResponse, Response

from slm_registry.domain.graph import Lineage
from slm_registry.schemas import ContainingModels, Timeline
from slm_registry.service import lineage
from slm_registry.service.lineage import Direction
from slm_registry.service.openlineage import as_json
from slm_shared.http.access import Viewer
from slm_shared.http.routing import ReadSession, router

routes = router(tags=["lineage"])

Directed = Annotated[Direction, Query(description="up: what it was made from; down: what came of it; both.")]
Depth = Annotated[int | None, Query(ge=1, le=1000, description="At most so many steps; without: any number.")]
AsOf = Annotated[datetime | None, Query(description="As it was known at this time (RFC 3339).")]
Format = Annotated[Literal["json", "mermaid"], Query()]


@routes.get("/api/models/{reference}/lineage", response_model=Lineage)
async def get_lineage(
    reference: str,
    _: Viewer,
    session: ReadSession,
    direction: Directed = "up",
    depth: Depth = None,
    as_of: AsOf = None,
    format: Annotated[Literal["json", "mermaid", "openlineage"], Query()] = "json",
) -> Response:
    """Where a model comes from and what it scored, or what came of it: JSON, Mermaid, or OpenLineage events."""
    if format == "openlineage":
        events = await lineage.run_events_of(session, reference)
        return Response(as_json(events), media_type="application/json")
    graph = await lineage.lineage_of_model(session, reference, direction=direction, depth=depth, as_of=as_of)
    return _shown(graph, format)


@routes.get("/api/models:lineage", response_model=Lineage)
async def get_lineage_of_node(
    _: Viewer,
    session: ReadSession,
    node: Annotated[str, Query(max_length=200, description="Id of anything in a lineage, or name of a dataset.")],
    direction: Directed = "both",
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
    return ContainingModels(dataset=dataset, models=await lineage.models_containing(session, dataset, as_of=as_of))


@routes.get("/api/models/{reference}/timeline")
async def get_timeline(
    reference: str,
    _: Viewer,
    session: ReadSession,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Timeline:
    """What happened to a model, newest first."""
    return await lineage.timeline_of(session, reference, before=before, limit=limit)


def _shown(graph: Lineage, format: str) -> Response:
    """The graph as it is answered; written out at once, because a large one would be copied twice on the way."""
    if format == "mermaid":
        return PlainTextResponse(graph.mermaid())
    nodes = [{"id": node.id, "type": node.type, "name": node.name} for node in graph.nodes]
    edges = [
        {"source": edge.source, "target": edge.target, "relation": edge.relation, "at": edge.at and edge.at.isoformat()}
        for edge in graph.edges
    ]
    return JSONResponse({"nodes": nodes, "edges": edges, "truncated": graph.truncated})
