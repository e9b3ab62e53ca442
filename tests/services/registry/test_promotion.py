"""Who becomes champion, on which evidence, and what tampering with files does."""

from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import text

from slm_registry.settings import RegistrySettings
from slm_shared.events.catalogue import EvaluationCompleted, EvaluationRegressed, ModelPromoted, ModelRegistered
from slm_shared.settings import PlatformSettings
from slm_shared.storage import signing
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_shared.storage.manifest import ArtifactMismatchError
from slm_shared.storage.objects import ObjectStore
from slm_testing.events import EventLog
from tests.support.registry import Artifact, Settled, model, registered, scored

DATASET = new_id()


@pytest.fixture
async def versions(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, artifact: Artifact, settled: Settled
) -> list[ModelRegistered]:
    """Three versions that score 0.5, 0.75 and 0.25, where the base scores 0.125."""
    made = [await registered(events, artifact.experiment(base_id)) for _ in range(3)]
    scores = [(base_id, "nano-v1", 0.125)]
    scores += [(each.model_id, each.name, score) for each, score in zip(made, (0.5, 0.75, 0.25), strict=True)]
    for identity, name, score in scores:
        await events.publish(scored(identity, name, DATASET, "held-out-v1", quality_score=score))
    await settled(EvaluationCompleted)
    return made


async def promote(client: httpx2.AsyncClient, reference: str, **body: Any) -> httpx2.Response:
    """Ask for a promotion."""
    return await client.post(f"/api/models/{reference}:promote", json=body)


async def test_the_better_model_becomes_champion_with_its_evidence(
    client: httpx2.AsyncClient, versions: list[ModelRegistered], events: EventLog
) -> None:
    for name in ("commands-v1", "commands-v2"):
        answer = await promote(client, name)
        assert (answer.status_code, answer.json()["allowed"]) == (200, True), answer.text
    assert (await model(client, "commands@champion"))["name"] == "commands-v2"
    told = await events.wait_for(ModelPromoted, lambda event: event.version == 2)
    assert (told.name, told.previous_model_id, told.reason) == ("commands-v2", versions[0].model_id, "promoted")
    moves = (await client.get("/api/models/commands/aliases")).json()["history"]
    last = next(move for move in moves if move["alias"] == "champion")
    assert (last["model"], last["previous"], last["moved_by"]) == ("commands-v2", "commands-v1", "tester")
    assert [each["condition"] for each in last["evidence"]] == ["better", "not_regressed", "intact"]
    assert "a gain of 0.25" in last["evidence"][0]["finding"]


async def test_a_worse_model_is_refused_and_says_why(
    client: httpx2.AsyncClient, versions: list[ModelRegistered]
) -> None:
    await promote(client, "commands-v2")
    answer = await promote(client, "commands-v3")
    assert (answer.status_code, answer.json()["code"]) == (409, "promotion_refused")
    assert [each["field"] for each in answer.json()["errors"]] == ["better"]
    assert (await client.get("/api/models/commands-v3/promotion")).json()["allowed"] is False
    assert (await model(client, "commands@champion"))["name"] == "commands-v2"
    assert (await promote(client, "commands-v3", force=True, reason="The demo needs it")).status_code == 200
    assert (await model(client, "commands@champion"))["name"] == "commands-v3"


async def test_a_model_that_was_not_measured_is_refused(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, artifact: Artifact
) -> None:
    await registered(events, artifact.experiment(base_id))
    answer = await promote(client, "commands-v1")
    assert answer.status_code == 409
    assert "no quality_score" in answer.json()["errors"][0]["message"]


async def test_a_regressed_model_is_refused(
    client: httpx2.AsyncClient, versions: list[ModelRegistered], events: EventLog, settled: Settled
) -> None:
    worse = {"loss": 0.5}
    await events.publish(
        EvaluationRegressed(
            evaluation_id=new_id(),
            model_id=versions[1].model_id,
            model_name="commands-v2",
            dataset_id=DATASET,
            dataset_name="held-out-v1",
            predecessor_evaluation_id=new_id(),
            predecessor_model_id=versions[0].model_id,
            predecessor_model_name="commands-v1",
            differences=worse,
            low=worse,
            high=worse,
        )
    )
    await settled(EvaluationRegressed)
    answer = await promote(client, "commands-v2")
    assert [each["field"] for each in answer.json()["errors"]] == ["not_regressed"]


async def test_the_champion_before_comes_back(client: httpx2.AsyncClient, versions: list[ModelRegistered]) -> None:
    assert (await client.post("/api/models/commands:rollback")).json()["code"] == "nothing_to_roll_back"
    await promote(client, "commands-v1")
    assert (await client.post("/api/models/commands:rollback")).json()["code"] == "nothing_to_roll_back"
    await promote(client, "commands-v2")
    back = await client.post("/api/models/commands:rollback")
    assert (back.status_code, back.json()["name"], back.json()["aliases"]) == (200, "commands-v1", ["champion"])


@pytest.mark.parametrize("path", ["config.json", "model.safetensors"])
async def test_a_tampered_file_is_found_and_named(
    client: httpx2.AsyncClient, versions: list[ModelRegistered], artifact: Artifact, objects: ObjectStore, path: str
) -> None:
    clean = (await client.get("/api/models/commands-v2/verification")).json()
    assert (clean["intact"], clean["signed"], clean["problems"]) == (True, True, [])
    await objects.put_bytes(f"{artifact.prefix}/{path}", b"something else")
    found = (await client.get("/api/models/commands-v2/verification")).json()
    assert (found["intact"], found["problems"]) == (False, [f"The file {path} does not match the manifest."])
    answer = await promote(client, "commands-v2")
    assert [each["field"] for each in answer.json()["errors"]] == ["intact"]
    assert path in answer.json()["errors"][0]["message"]


async def test_another_artifact_under_a_models_name_is_not_opened(
    client: httpx2.AsyncClient, versions: list[ModelRegistered], settings: RegistrySettings
) -> None:
    """Whoever can change the database but lacks the key cannot put other files, or another model's, in the place."""
    database = Database(settings.database_url, answer_within_s=settings.platform.answer_within_s)
    statements = (
        "UPDATE model SET signature = (SELECT signature FROM model WHERE name = 'commands-v1')",
        "UPDATE model SET signature = NULL",
        "UPDATE model SET signature = 'x.y.z'",
    )
    for statement in statements:
        async with database.transaction() as session:
            await session.execute(text(f"{statement} WHERE name = 'commands-v2'"))
        for way in ("card", "download", "files/config.json", "reproduce"):
            answer = await client.get(f"/api/models/commands-v2/{way}")
            assert (answer.status_code, answer.json()["code"]) == (500, "artifact_mismatch"), (statement, way)
    await database.close()


async def test_only_the_services_key_signs_artifacts(
    platform_settings: PlatformSettings, versions: list[ModelRegistered]
) -> None:
    assert platform_settings.principal_keys is not None
    keys = platform_settings.principal_keys
    verifier = signing.ArtifactVerifier(keys)
    made = versions[0]
    verifier.verify(made.signature, made.model_id, made.name, made.manifest_sha256)
    for change in ({"name": "commands-v9"}, {"manifest_sha256": "0" * 64}, {"model_id": new_id()}):
        facts: dict[str, Any] = {
            "model_id": made.model_id, "name": made.name, "manifest_sha256": made.manifest_sha256,
        } | change  # fmt: skip
        with pytest.raises(ArtifactMismatchError):
            verifier.verify(made.signature, **facts)
    stolen = signing.ArtifactSigner(keys.parent / "worker.json")
    forged = stolen.sign(made.model_id, made.name, made.manifest_sha256)
    with pytest.raises(ArtifactMismatchError):
        verifier.verify(forged, made.model_id, made.name, made.manifest_sha256)


async def test_a_model_from_before_signatures_is_signed_by_an_administrator_if_its_files_are_there(
    client: httpx2.AsyncClient,
    versions: list[ModelRegistered],
    settings: RegistrySettings,
    artifact: Artifact,
    objects: ObjectStore,
) -> None:
    database = Database(settings.database_url, answer_within_s=settings.platform.answer_within_s)
    async with database.transaction() as session:
        await session.execute(text("UPDATE model SET signature = NULL WHERE name IN ('commands-v1', 'commands-v2')"))
    assert (await client.get("/api/models/commands-v1/card")).json()["code"] == "artifact_mismatch"
    signed = (await client.post("/api/models/commands-v1:sign")).json()
    assert (signed["signed"], signed["intact"], signed["problems"]) == (True, True, [])
    assert (await client.get("/api/models/commands-v1/card")).status_code == 200
    assert (await model(client, "commands-v1"))["signature"] == versions[0].signature
    timeline = (await client.get("/api/models/commands-v1/timeline")).json()
    assert timeline["items"][0]["type"] == "model.signed"
    path = artifact.files.files[0].path
    await objects.put_bytes(f"{artifact.prefix}/{path}", b"something else")
    refused = (await client.post("/api/models/commands-v2:sign")).json()
    assert (refused["signed"], refused["problems"]) == (False, [f"The file {path} does not match the manifest."])
    async with database.transaction() as session:
        await session.execute(text("UPDATE model SET signature = 'x.y.z' WHERE name = 'commands-v3'"))
    assert (await client.post("/api/models/commands-v3:sign")).json()["intact"] is False
    assert (await model(client, "commands-v3"))["signature"] == "x.y.z"
    await database.close()


async def test_a_check_does_not_wait_for_a_move_of_the_alias(
    client: httpx2.AsyncClient, versions: list[ModelRegistered], settings: RegistrySettings
) -> None:
    assert (await promote(client, "commands-v1")).status_code == 200
    database = Database(settings.database_url)
    async with database.transaction() as session:
        await session.execute(text("UPDATE alias SET moved_at = clock_timestamp() WHERE name = 'champion'"))
        answer = await client.get("/api/models/commands-v2/promotion")
        assert (answer.status_code, answer.json()["rival"]) == (200, "commands-v1")
    await database.close()
