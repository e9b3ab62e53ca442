"""Upload of models that were made elsewhere."""

from functools import partial
from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse

from slm_registry.api.dependencies import Registration, Settings
from slm_registry.schemas import Model, UploadFields
from slm_registry.service import imports
from slm_shared.http.access import Member
from slm_shared.http.forms import read_form
from slm_shared.http.idempotency import Idempotency
from slm_shared.http.routing import Objects, router

routes = router(tags=["models"])

FILE = "A tar archive of what save_pretrained wrote: safetensors, JSON, text."
FIELDS: dict[str, Any] = {
    "file": {"type": "string", "format": "binary", "description": FILE},
    "family": {"type": "string", "description": "The model becomes its next version."},
    "base_model": {"type": "string", "description": "What it was fine-tuned from, if it was."},
    "description": {"type": "string"},
    "source": {"type": "string", "description": "Where it came from, e.g. hf:owner/name@commit."},
    "tag": {"type": "array", "items": {"type": "string"}},
}
SCHEMA = {"type": "object", "required": ["file", "family"], "properties": FIELDS}
FORM: dict[str, Any] = {"required": True, "content": {"multipart/form-data": {"schema": SCHEMA}}}


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
    async with imports.receiving(max_bytes=settings.max_upload_bytes) as archive:
        form = await read_form(request, max_bytes=archive.max_bytes, sink=archive.write)
        fields, found = form.checked(UploadFields, lists=("tag",)), await archive.unpack()
        canonical = f"{fields.model_dump_json()}\n{found.facts.manifest_sha256}"
        if (stored := await once.stored(of=canonical)) is not None:
            return stored
        # First the files: nothing refers to any that are not there.
        await found.store(objects)
        work = partial(found.register, registrar=registrar, fields=fields, owner=principal.subject)
        return await once(work, of=canonical, status=201, location=lambda model: f"/api/models/{model.id}")
