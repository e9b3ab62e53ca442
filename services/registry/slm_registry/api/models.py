"""Models: found, listed, compared, edited, deleted."""

from typing import Annotated
from uuid import UUID

from fastapi import Header, Query, Request, Response

from slm_registry import store
from slm_registry.schemas import Comparison, Model, ModelEdit, Usage, Use
from slm_registry.service import comparing, editing, reading
from slm_shared.events.catalogue import ModelKind
from slm_shared.http.access import Member, Viewer
from slm_shared.http.paging import Page, PageQuery
from slm_shared.http.provided import given
from slm_shared.http.routing import Objects, ReadSession, WriteSession, router
from slm_shared.http.sorting import order_of, page_of_sorted
from slm_shared.storage.database import Database

routes = router(tags=["models"])

SORTED_BY = f"One of {', '.join(store.SORTS)}; with a minus in front descending."
Text = Annotated[str | None, Query(max_length=200)]


def etag_of(revision: int) -> str:
    """The ETag of a model."""
    return f'"{revision}"'


@routes.get("/api/models")
async def list_models(
    _: Viewer,
    session: ReadSession,
    query: PageQuery,
    sort: Annotated[str, Query(max_length=40, description=SORTED_BY)] = "-created_at",
    kind: Annotated[ModelKind | None, Query()] = None,
    family: Annotated[str | None, Query(max_length=100)] = None,
    experiment_id: Annotated[UUID | None, Query()] = None,
    base_model: Annotated[Text, Query(description="Id or name of the base.")] = None,
    dataset: Annotated[Text, Query(description="Id or name of the training or evaluation dataset.")] = None,
    tag: Annotated[str | None, Query(max_length=60)] = None,
    alias: Annotated[
        str | None, Query(max_length=40, description="Those that this alias of a family leads to.")
    ] = None,
    latest: Annotated[bool | None, Query(description="Only the latest of each family, or only the others.")] = None,
    deleted: Annotated[bool, Query(description="Also those that were deleted.")] = False,
    q: Annotated[str | None, Query(max_length=100, description="Part of the name, or words said of the model.")] = None,
) -> Page[Model]:
    """Models, newest first unless `sort` says otherwise; what a model lacks sorts as largest number or empty text."""
    filters = store.Filters(kind, family, experiment_id, base_model, dataset, tag, alias, q, latest, deleted)
    order = order_of(sort, store.SORTS)
    rows = await store.list_models(session, query, order, filters)
    return page_of_sorted(rows, query, order, key=lambda row: row.id, show=Model.of)


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
async def delete_model(reference: str, request: Request, principal: Member, objects: Objects) -> None:
    """Delete a model that nothing refers to, and its files; its lineage stays."""
    database = given(request.app, Database)
    async with database.transaction() as session:
        prefix = await editing.delete_model(session, reference, actor=principal.subject)
    if prefix is not None:
        await objects.remove_prefix(f"{prefix}/")


@routes.get("/api/models/{reference}/usage")
async def get_usage(reference: str, _: Viewer, session: ReadSession) -> Usage:
    """What a model was used for, how often and when last."""
    row = await reading.get_model(session, reference, deleted=True)
    return Usage(model_id=row.id, uses=[Use.of(each) for each in await store.usage_of(session, row.id)])
