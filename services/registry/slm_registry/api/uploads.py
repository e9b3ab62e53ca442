"""Upload of models that were made elsewhere."""

from functools import partial
from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse

from slm_registry.api.dependencies import Registration, Settings
from slm_registry.api.form import read_upload
from slm_registry.schemas import Model
from slm_registry.service import imports
from slm_shared.http.access import Member
from slm_shared.http.idempotency import Idempotency
from slm_shared.http.routing import Objects, router

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
async def upload_model(
    request: Request,
    principal: Member,
    objects: Objects,
    once: Idempotency,
    settings: Settings,
    registrar: Registration,
) -> JSONResponse:
    """Register a model that was made elsewhere, from its files."""
    limit = settings.max_upload_bytes
    async with read_upload(request, max_bytes=limit) as upload, imports.unpacked(upload.file, max_bytes=limit) as found:
        canonical = f"{upload.fields.model_dump_json()}\n{found.facts.manifest_sha256}"
        if (stored := await once.stored(of=canonical)) is not None:
            return stored
        # First the files: nothing refers to any that are not there.
        await found.store(objects)
        work = partial(found.register, registrar=registrar, fields=upload.fields, owner=principal.subject)
        return await once(work, of=canonical, status=201, location=lambda model: f"/api/models/{model.id}")
