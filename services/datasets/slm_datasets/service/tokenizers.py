"""The tokenizer of a model, from the registry: JSON files only, and nothing of its weights."""

from pathlib import Path
from urllib.parse import quote
from uuid import UUID

from pydantic import BaseModel

from slm_datasets.errors import ModelNotFoundError
from slm_shared.errors import Hint, UnavailableError
from slm_shared.peers import Peer

FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "config.json",
)
MAX_FILE_BYTES = 64 * 1024 * 1024


class Model(BaseModel):
    """A model in the registry."""

    id: UUID
    name: str


async def resolve_model(registry: Peer, reference: str) -> Model:
    """A model by id, name or alias. Raises ModelNotFoundError and UnavailableError."""
    found = await registry.get(f"/api/models/{quote(reference, safe='')}")
    if found is None:
        raise ModelNotFoundError("There is no such model.", hint=Hint.LIST_MODELS)
    return Model.model_validate(found)


async def fetch_tokenizer(registry: Peer, model_id: str, folder: Path) -> None:
    """Save the tokenizer files that a model has into `folder`. Raises UnavailableError."""
    for name in FILES:
        path = f"/api/models/{model_id}/files/{name}"
        found = await registry.download(path, folder / name, max_bytes=MAX_FILE_BYTES)
        if name == "tokenizer.json" and not found:
            raise UnavailableError("The registry gave no tokenizer for this model.")
