"""What nobody refers to is removed from the object store, a week after its run ended and not before."""

from sqlalchemy import text

from slm_shared.http.provided import given
from slm_shared.storage.database import Database
from slm_training.service.cleanup import Cleanup
from tests.support.training import TrainingPlatform


async def keys_of(platform: TrainingPlatform, run_id: str) -> set[str]:
    """What the store holds of a run, relative to it."""
    prefix = f"runs/{run_id}/"
    return {each.key.removeprefix(prefix) for each in await platform.objects.list(prefix)}


async def test_only_what_nothing_refers_to_is_removed(platform: TrainingPlatform) -> None:
    database = given(platform.app, Database)
    await platform.dataset("rows")
    run = await platform.launch()
    prefix = f"runs/{run['id']}"
    everything = {
        "e1/model.safetensors",
        "e2/model.safetensors",
        "e2/manifest.json",
        "checkpoints/e1/00000010/state.json",
        "checkpoints/e1/00000020/state.json",
    }
    for key in everything:
        await platform.objects.put_bytes(f"{prefix}/{key}", b"x")
    async with database.transaction() as session:
        await session.execute(
            text("UPDATE run SET result = jsonb_build_object('prefix', CAST(:p AS text)), completed_at = now()"),
            {"p": f"{prefix}/e2"},
        )
        checkpoint = (
            "INSERT INTO checkpoint (run_id, step, epoch, prefix, manifest_sha256, size_bytes)"
            " SELECT id, 20, 1, CAST(:p AS text), '', 1 FROM run"
        )
        await session.execute(text(checkpoint), {"p": f"{prefix}/checkpoints/e1/00000020"})
    cleanup = Cleanup(database, platform.objects)
    assert await cleanup.clean_up() == 0
    assert await keys_of(platform, run["id"]) == everything
    async with database.transaction() as session:
        await session.execute(text("UPDATE run SET completed_at = now() - interval '8 days'"))
    assert await cleanup.clean_up() == 2
    kept = {"e2/model.safetensors", "e2/manifest.json", "checkpoints/e1/00000020/state.json"}
    assert await keys_of(platform, run["id"]) == kept
