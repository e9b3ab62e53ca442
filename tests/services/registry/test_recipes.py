"""What it takes to make a model again, as it was known when the model was made."""

import json
from pathlib import Path
from uuid import UUID

import httpx2

from slm_shared.storage import manifest
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore
from slm_testing.events import EventLog
from tests.support.registry import CONTENT, Artifact, registered

CODE = "0.1.0+g0123456789abcdef0123456789abcdef01234567"
RECORD = {
    "config": {"seed": 42, "method": "lora"},
    "base_model": {"name": "nano-v1", "manifest_sha256": "c" * 64},
    "training_dataset": {"name": "orders-v1", "sha256": "a" * 64, "row_format": "prompt/completion"},
    "versions": {"torch": "2.13.0"},
}


async def test_card_and_recipe_tell_the_code_that_trained_the_model(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, objects: ObjectStore, tmp_path: Path
) -> None:
    (tmp_path / "made").mkdir()
    for path, content in {"config.json": CONTENT["config.json"], "training.json": json.dumps(RECORD).encode()}.items():
        (tmp_path / "made" / path).write_bytes(content)
    prefix = f"artifacts/{new_id()}"
    made = Artifact(prefix, await manifest.upload(objects, tmp_path / "made", prefix))
    new = made.experiment(base_id, config={"seed": 42, "version_slm-platform": CODE})
    old = made.experiment(base_id, config={"seed": 42})
    for experiment, code in ((new, CODE), (old, None)):
        name = (await registered(events, experiment)).name
        recipe = (await client.get(f"/api/models/{name}/reproduce")).json()
        assert (recipe["code_version"], recipe["versions"], recipe["seed"]) == (code, {"torch": "2.13.0"}, 42)
        assert (await client.get(f"/api/models/{name}/card")).json()["code_version"] == code
        card = (await client.get(f"/api/models/{name}/card", params={"format": "markdown"})).text
        assert (f"| Code | {CODE} |" in card) is (code is not None)
