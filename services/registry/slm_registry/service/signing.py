"""Vouching for models that were registered before models were signed."""

from slm_registry.schemas import Verification
from slm_registry.service.artifacts import ArtifactReader
from slm_registry.service.reading import get_model
from slm_registry.service.registration import Registrar
from slm_registry.tables import ModelRow
from slm_shared.storage.database import Database


async def sign_model(
    database: Database, reader: ArtifactReader, registrar: Registrar, model: ModelRow, *, actor: str
) -> Verification:
    """Read every file back, sign the model if all are as registered, and verify it with its signature.

    A model that has a signature is only verified. Raises SigningKeyMissingError.
    """
    found = await reader.verify(model, as_signed=model.signature is not None)
    if model.signature is not None or not found.intact:
        return found
    async with database.transaction(answering=True) as session:
        await registrar.sign(session, model, actor=actor)
    async with database.read(answering=True) as session:
        signed = await get_model(session, str(model.id))
    return await reader.verify(signed)
