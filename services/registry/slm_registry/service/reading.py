"""Finding a model."""

from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry import store
from slm_registry.errors import ModelDeletedError, ModelNotFoundError
from slm_registry.tables import ModelRow
from slm_shared.errors import Hint


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
