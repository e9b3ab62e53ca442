"""What the endpoints of this room are given, by type."""

from typing import Annotated

from fastapi import Depends

from slm_registry.domain.promotion import Policy
from slm_registry.schemas import ModelFilters
from slm_registry.service import reading
from slm_registry.service.artifacts import Artifact, ArtifactReader
from slm_registry.service.registration import Registrar
from slm_registry.settings import RegistrySettings
from slm_registry.tables import ModelRow
from slm_shared.http.provided import provided, taken
from slm_shared.http.routing import Objects, OpenRead


async def _policy(settings: "Settings") -> Policy:
    return settings.promotion_policy


async def _reader(_: Objects, reader: Annotated[ArtifactReader, provided(ArtifactReader)]) -> ArtifactReader:
    return reader


async def _model(_: Objects, reference: str, read: OpenRead) -> ModelRow:
    async with read() as session:
        return await reading.get_model(session, reference)


async def _artifact(reader: "Reader", model: "ModelToOpen") -> Artifact:
    return await reader.open(model)


Filters = Annotated[ModelFilters, taken(ModelFilters)]
PromotionPolicy = Annotated[Policy, Depends(_policy)]
Registration = Annotated[Registrar, provided(Registrar)]
Settings = Annotated[RegistrySettings, provided(RegistrySettings)]
# With an object store that is known to answer.
Reader = Annotated[ArtifactReader, Depends(_reader)]
# The model that the path names, read in a session that has ended: its files are next.
ModelToOpen = Annotated[ModelRow, Depends(_model)]
# Its artifact, under a manifest that has the registered hash and the registry's signature.
OpenedArtifact = Annotated[Artifact, Depends(_artifact)]
