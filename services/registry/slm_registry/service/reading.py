"""Finding and listing models."""

from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry import store
from slm_registry.errors import ModelDeletedError, ModelNotFoundError
from slm_registry.schemas import Model, ModelFilters, Usage, Use
from slm_registry.tables import ModelRow
from slm_shared.errors import Hint
from slm_shared.http.paging import Page, PageRequest
from slm_shared.http.sorting import order_of, page_of_sorted

SORTED_BY = f"One of {', '.join(store.SORTS)}; with a minus in front descending."


async def get_model(session: AsyncSession, reference: str, *, deleted: bool = False) -> ModelRow:
    """A model by id, name, family or `<family>@<alias>`; with `deleted` also one that was deleted.

    Raises ModelNotFoundError and ModelDeletedError.
    """
    model = await store.find_model(session, reference)
    if model is None:
        raise ModelNotFoundError("There is no such model.", hint=Hint.LIST_MODELS)
    if model.deleted_at is not None and not deleted:
        raise ModelDeletedError("The model was deleted.", hint="Its lineage and its timeline can still be read.")
    return model


async def list_models(session: AsyncSession, query: PageRequest, *, sort: str, filters: ModelFilters) -> Page[Model]:
    """A page of models. Raises InvalidError for an order or a cursor that there is not."""
    order = order_of(sort, store.SORTS)
    rows = await store.list_models(session, query, order, filters)
    return page_of_sorted(rows, query, order, key=lambda row: row.id, show=Model.of)


async def usage_of(session: AsyncSession, reference: str) -> Usage:
    """What a model was used for, how often and when last. Raises ModelNotFoundError."""
    row = await get_model(session, reference, deleted=True)
    return Usage(model_id=row.id, uses=[Use.of(each) for each in await store.usage_of(session, row.id)])
