"""Models that somebody brings along."""

import tempfile
from pathlib import Path
from typing import Any

from anyio import to_thread
from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse

from slm_registry.api.form import Upload, read_upload
from slm_registry.schemas import Model
from slm_registry.service import imports
from slm_registry.service.registration import Registrar
from slm_registry.settings import RegistrySettings
from slm_shared.http.access import Member
from slm_shared.http.idempotency import Idempotency, Once
from slm_shared.http.provided import given
from slm_shared.http.routing import Objects, router
from slm_shared.storage import manifest
from slm_shared.storage.objects import ObjectStore

routes = router(tags=["models"])

FORM: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file", "family"],
                "properties": {
                    "file": {
                        "type": "string",
                        "format": "binary",
                        "description": "A tar archive of what save_pretrained wrote: safetensors, JSON, text.",
                    },
                    "family": {"type": "string", "description": "The model becomes its next version."},
                    "base_model": {"type": "string", "description": "What it was fine-tuned from, if it was."},
                    "description": {"type": "string"},
                    "source": {"type": "string", "description": "Where it came from, e.g. hf:owner/name@commit."},
                    "tag": {"type": "array", "items": {"type": "string"}},
                },
            }
        }
    },
}


@routes.post("/api/models", status_code=201, response_model=Model, openapi_extra={"requestBody": FORM})
async def upload_model(request: Request, principal: Member, objects: Objects, once: Idempotency) -> JSONResponse:
    """Register a model that was made elsewhere, from its files."""
    limit = given(request.app, RegistrySettings).max_upload_bytes
    async with read_upload(request, max_bytes=limit) as upload:
        folder = Path(await to_thread.run_sync(tempfile.mkdtemp))
        try:
            described = await imports.unpack(upload.file, folder, max_bytes=limit)
            return await _register(request, upload, folder, described, once, owner=principal.subject)
        finally:
            await to_thread.run_sync(imports.discard, folder)


async def _register(
    request: Request, upload: Upload, folder: Path, described: dict[str, Any], once: Once, *, owner: str
) -> JSONResponse:
    """Store the files, then register them: nothing refers to files that are not there."""
    canonical = f"{upload.fields.model_dump_json()}\n{described['manifest_sha256']}"
    if (stored := await once.stored(of=canonical)) is not None:
        return stored
    await manifest.upload(given(request.app, ObjectStore), folder, described["artifact_prefix"])

    async def work(session: AsyncSession) -> Model:
        registrar = given(request.app, Registrar)
        return Model.of(await imports.register_own(session, registrar, upload.fields, described, owner=owner))

    return await once(work, of=canonical, status=201, location=lambda model: f"/api/models/{model.id}")
