"""How endpoints get at the files of models."""

from typing import Annotated

from fastapi import Depends

from slm_registry.service.artifacts import ArtifactReader
from slm_shared.http.provided import provided
from slm_shared.http.routing import Objects


async def _reader(_: Objects, reader: Annotated[ArtifactReader, provided(ArtifactReader)]) -> ArtifactReader:
    return reader


Reader = Annotated[ArtifactReader, Depends(_reader)]
