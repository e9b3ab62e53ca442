"""How endpoints get at the files of models."""

from typing import Annotated

from fastapi import Depends, Request

from slm_registry.service.artifacts import ArtifactReader
from slm_shared.http.routing import Objects


async def _reader(request: Request, objects: Objects) -> ArtifactReader:
    return ArtifactReader(objects, request.app.state.artifact_verifier)


Reader = Annotated[ArtifactReader, Depends(_reader)]
