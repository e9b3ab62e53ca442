"""Models: found, listed, compared, edited, deleted."""

from typing import Annotated

from fastapi import Header, Query, Response

from slm_registry.api.dependencies import Filters
from slm_registry.schemas import Comparison, Model, ModelEdit, Usage
from slm_registry.service import comparing, editing, reading
from slm_shared.http.access import Member, Viewer
from slm_shared.http.paging import Page, PageQuery
from slm_shared.http.routing import Objects, ReadSession, ServiceDatabase, WriteSession, router

routes = router(tags=["models"])


def etag_of(revision: int) -> str:
    """The ETag of a model."""
    return f'"{revision}"'


@routes.get("/api/models")
async def list_models(
    _: Viewer,
    session: ReadSession,
    query: PageQuery,
    filters: Filters,
    sort: Annotated[str, Query(max_length=40, description=reading.SORTED_BY)] = "-created_at",
) -> Page[Model]:
    """Models, newest first unless `sort` says otherwise; what a model lacks sorts as largest number or empty text."""
    return await reading.list_models(session, query, sort=sort, filters=filters)


@routes.get("/api/models:compare")
async def compare_models(
    _: Viewer, session: ReadSession, model: Annotated[list[str], Query(min_length=2, max_length=10)]
) -> Comparison:
    """Two to ten models side by side: facts, configuration, and metrics by dataset."""
    return await comparing.compare_models(session, model)


@routes.get("/api/models/{reference}")
async def get_model(reference: str, response: Response, _: Viewer, session: ReadSession) -> Model:
    """One model, by id, `<family>-v<n>`, `<family>@<alias>`, or family (its latest version)."""
    found = Model.of(await reading.get_model(session, reference))
    response.headers["ETag"] = etag_of(found.revision)
    return found


@routes.patch("/api/models/{reference}")
async def edit_model(
    reference: str,
    edit: ModelEdit,
    response: Response,
    principal: Member,
    session: WriteSession,
    if_match: Annotated[str | None, Header(max_length=40)] = None,
) -> Model:
    """Change description or tags of the model whose ETag If-Match names."""
    row = await editing.edit_model(session, reference, edit, if_match=if_match, actor=principal.subject)
    response.headers["ETag"] = etag_of(row.revision)
    return Model.of(row)


@routes.delete("/api/models/{reference}", status_code=204)
async def delete_model(reference: str, principal: Member, objects: Objects, database: ServiceDatabase) -> None:
    """Delete a model that nothing refers to, and its files; its lineage stays."""
    await editing.delete_model(database, objects, reference, actor=principal.subject)


@routes.get("/api/models/{reference}/usage")
async def get_usage(reference: str, _: Viewer, session: ReadSession) -> Usage:
    """What a model was used for, how often and when last."""
    return await reading.usage_of(session, reference)
