"""Trainings on a Ray cluster of two nodes, as the supervisor starts them. They need the extra `ray`."""

import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors.torch import load_file, save_file
from transformers.trainer import TRAINER_STATE_NAME as STATE

from slm_local.ports import free_port
from slm_shared.jobs.child import Child, model_environment
from slm_shared.settings import PlatformSettings
from slm_shared.storage import manifest
from slm_shared.storage.objects import ObjectStore
from slm_testing.waiting import eventually
from slm_training.worker.cluster.file_transfer import files_below
from slm_training.worker.cluster.options import ClusterOptions
from slm_training.worker.job import TrainingJob
from slm_training.worker.supervisor.warm_child import DRIVER_MODULE, WarmChild
from tests.support.lease_service import LeaseService
from tests.support.trainer import said as has_said
from tests.support.trainer import trainer
from tests.support.training_jobs import NANO, make_job, train

cluster_utils = pytest.importorskip("ray.cluster_utils")
pytestmark = pytest.mark.timeout(400)

MakeLease = Callable[..., Awaitable[dict[str, Any]]]
ROWS = [{"prompt": f"turn on {n}", "completion": "yes " * (1 + n % 7)} for n in range(64)]
NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes with room for one process each; the driver belongs to the first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        found = cluster_utils.Cluster(initialize_head=True, head_node_args=NODE)
        try:
            found.add_node(**NODE)
            yield found
        finally:
            found.shutdown()


def warm_driver(cluster: Any, folder: Path, *, start_timeout_s: float = 120.0) -> WarmChild:
    options = ClusterOptions(address=cluster.address, cpus=1, gpus=0, start_timeout_s=start_timeout_s)
    return WarmChild(folder / "work", timeout_s=180, cluster=options)


@asynccontextmanager
async def driver(cluster: Any, folder: Path, *, start_timeout_s: float = 120.0) -> AsyncIterator[Child]:
    """A driver that has met its cluster."""
    warm = warm_driver(cluster, folder, start_timeout_s=start_timeout_s)
    child = await warm.take()
    try:
        assert warm.facts["cores"] == 2
        yield child
    finally:
        await child.stop(grace_s=0)
        await warm.close()


async def submit(child: Child, job: TrainingJob) -> None:
    await child.send({"job": job.model_dump(mode="json")})


async def messages_until(child: Child, *kinds: str) -> list[dict[str, Any]]:
    """What it says up to the first message of one of `kinds`, or of an error."""
    said = []
    while (message := await child.receive()) is not None:
        said.append(message)
        if message["kind"] in (*kinds, "error"):
            return said
    raise AssertionError(child.log_tail())


def losses_of(said: list[dict[str, Any]]) -> dict[int, float]:
    """The loss by step."""
    points = [each for each in said if each["kind"] == "metric" and "loss" in each["values"]]
    return {each["step"]: each["values"]["loss"] for each in points}


def submitted_job(folder: Path, rows: list[dict[str, Any]] = ROWS, **config: Any) -> TrainingJob:
    return make_job(folder, rows, row_format="prompt/completion", **{"num_processes": 2, **config})


def processes_called(*names: str) -> list[psutil.Process]:
    """Those on the nodes, the first node's first, by the names that Ray gives its processes."""
    nodes = [child for child in psutil.Process().children() if "raylet" in child.name()]
    assert nodes
    running = [each for node in nodes for each in node.children(recursive=True)]
    return [each for each in running if any(name in title_of(each) for name in names)]


async def nothing_left_in_ray() -> bool:
    """For `eventually`: no process belongs to a training."""
    return not processes_called(
        "Mailbox", "PlacementGroupCleaner", "RayTrainWorker", "SynchronizationActor", "TrainController"
    )


def title_of(process: psutil.Process) -> str:
    """What a process calls itself; nothing once it has ended."""
    try:
        return " ".join(process.cmdline()[:1])
    except psutil.Error:
        return ""


async def test_two_nodes_take_the_same_way_as_one_process(cluster: Any, tmp_path: Path) -> None:
    alone = train(tmp_path / "alone", ROWS)
    job = submitted_job(tmp_path / "together")
    async with driver(cluster, tmp_path) as child:
        await submit(child, job)
        said = await messages_until(child, "result")
        assert await child.wait() == 0, child.log_tail()
    assert said[-1]["kind"] == "result", said[-1]
    assert list(losses_of(said).values()) == pytest.approx(alone.values("loss"), rel=1e-3)
    assert alone.result is not None
    assert said[-1]["result"]["trained_tokens"] == alone.result.trained_tokens
    assert said[-1]["result"]["train_loss"] == pytest.approx(alone.result.train_loss, rel=1e-3)
    assert {each["kind"] for each in said} >= {"log", "chosen", "progress", "metric"}
    assert {path.name for path in job.output_folder.iterdir()} == {path.name for path in alone.folder.iterdir()}
    weights, expected = load_file(job.output_folder / "model.safetensors"), alone.folder / "model.safetensors"
    assert {name: each.shape for name, each in weights.items()} == {
        name: each.shape for name, each in load_file(expected).items()
    }
    await eventually(nothing_left_in_ray, timeout_s=30)


async def test_a_lost_node_is_told_and_the_next_attempt_goes_on_from_the_checkpoint(
    cluster: Any, tmp_path: Path
) -> None:
    rows = ROWS * 4
    # So low that what is rounded differently does not grow over a hundred steps.
    config: dict[str, Any] = {"epochs": 3, "learning_rate": 1e-4}
    alone = train(tmp_path / "alone", rows, **config)
    job = submitted_job(tmp_path / "lost", rows, **config).model_copy(update={"checkpoint_s": 0.2})
    async with driver(cluster, tmp_path) as child:
        await submit(child, job)
        before = await messages_until(child, "checkpoint")
        (node,) = cluster.worker_nodes
        cluster.remove_node(node, allow_graceful=False)
        before += await messages_until(child, "result")
    assert (before[-1]["kind"], before[-1].get("code")) == ("error", "node_lost"), before[-1]
    assert (before[-1]["blame"], before[-1]["retry"]) == ("infra", True)
    checkpoint = [each for each in before if each["kind"] == "checkpoint"][-1]
    again = submitted_job(tmp_path / "again", rows, **config).model_copy(
        update={"resume_folder": Path(checkpoint["folder"]), "resume_step": checkpoint["step"]}
    )
    warm = warm_driver(cluster, tmp_path)
    await eventually(lambda: has_room_for(warm, 1), timeout_s=60)
    cluster.add_node(**NODE)
    await eventually(lambda: has_room_for(warm, 2), timeout_s=60)
    child = await warm.take()
    await submit(child, again)
    after = await messages_until(child, "result")
    await child.stop(grace_s=0)
    assert after[-1]["kind"] == "result", after[-1]
    assert list(losses_of(after)) == list(range(checkpoint["step"] + 1, 97))
    assert list((losses_of(before) | losses_of(after)).values()) == pytest.approx(alone.values("loss"), rel=1e-3)


async def test_a_lost_process_is_told_whichever_it_is(cluster: Any, tmp_path: Path) -> None:
    async with driver(cluster, tmp_path) as child:
        await submit(child, submitted_job(tmp_path / "job", ROWS * 40))
        await messages_until(child, "metric")
        on_first_node, _ = processes_called("RayTrainWorker")
        on_first_node.kill()
        said = await messages_until(child, "result")
    assert (said[-1]["code"], said[-1]["blame"], said[-1]["retry"]) == ("node_lost", "infra", True)


async def has_room_for(warm: WarmChild, processes: int) -> bool:
    """For `eventually`: the idle driver says that so many fit."""
    await warm.ready()
    return bool(warm.facts["cores"] == processes)


async def test_a_cancelled_training_leaves_nothing_in_the_cluster(cluster: Any, tmp_path: Path) -> None:
    async with driver(cluster, tmp_path) as child:
        await submit(child, submitted_job(tmp_path / "job", ROWS * 40))
        await messages_until(child, "metric")
        await child.stop(grace_s=0)
    await eventually(nothing_left_in_ray, timeout_s=30)


async def test_a_drained_training_leaves_a_checkpoint(cluster: Any, tmp_path: Path) -> None:
    job = submitted_job(tmp_path / "job", ROWS * 40)
    async with driver(cluster, tmp_path) as child:
        await submit(child, job)
        await messages_until(child, "metric")
        await child.send({"drain": True})
        said = await messages_until(child, "drained")
        assert await child.wait() == 75
    assert said[-1] == {"kind": "drained"}
    (checkpoint,) = [each for each in said if each["kind"] == "checkpoint"]
    assert Path(checkpoint["folder"]).parent == job.scratch_folder
    names = {path.name for path in files_below(Path(checkpoint["folder"]))}
    assert names == {f"{name}.safetensors" for name in ("optimizer", "random", "weights")} | {"rest.json", STATE}


async def test_what_the_user_has_to_mend_is_told_once(cluster: Any, tmp_path: Path) -> None:
    base = shutil.copytree(NANO, tmp_path / "base")
    weights = load_file(NANO / "model.safetensors")
    weights["model.norm.weight"][:] = float("nan")
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    async with driver(cluster, tmp_path) as child:
        await submit(child, submitted_job(tmp_path / "job", base=base))
        said = [message async for message in child.messages()]
    (error,) = [each for each in said if each["kind"] == "error"]
    assert (error["code"], error["blame"], error["retry"]) == ("diverged", "user", False)


async def test_a_plan_is_made_on_the_cluster_and_one_process_trains_as_here(cluster: Any, tmp_path: Path) -> None:
    alone = train(tmp_path / "alone", ROWS)
    job = submitted_job(tmp_path / "job", num_processes=1)
    plan = job.model_copy(update={"run": job.run.model_copy(update={"purpose": "plan"})})
    async with driver(cluster, tmp_path) as child:
        await submit(child, plan)
        planned = await messages_until(child, "plan")
        await submit(child, job)
        said = await messages_until(child, "result")
    assert planned[-1]["report"]["total_steps"] == 16
    assert list(losses_of(said).values()) == alone.values("loss")


async def test_a_cluster_without_room_says_so(cluster: Any, tmp_path: Path) -> None:
    async with driver(cluster, tmp_path, start_timeout_s=3.0) as child:
        await submit(child, submitted_job(tmp_path / "job", num_processes=4))
        said = await messages_until(child, "result")
    assert (said[-1]["code"], said[-1]["blame"], said[-1]["retry"]) == ("cluster_full", "infra", True)
    assert "4 processes" in said[-1]["message"]


@pytest.mark.usefixtures("events")
async def test_a_trainer_has_its_runs_trained_by_the_cluster(
    cluster: Any,
    lease_service: tuple[LeaseService, PlatformSettings],
    make_lease: MakeLease,
    store: ObjectStore,
    tmp_path: Path,
) -> None:
    service, platform = lease_service
    lease = await make_lease(rows=96, num_processes=2)
    async with trainer(platform, tmp_path, ray_address=cluster.address, stop_grace_s=0.0):
        service.leases.append(lease)
        done = await eventually(has_said(service, "complete"), timeout_s=180)
    assert dict(service.told)["claim"]["capabilities"]["cores"] == 2
    assert dict(service.told)["choose"]["choices"]["precision"]["value"] in ("bf16", "fp32")
    assert done["steps"] == 12
    stored = await manifest.verify(store, lease["artifact_prefix"], done["manifest_sha256"])
    assert {"model.safetensors", "tokenizer.json", "training.json"} <= {file.path for file in stored.files}


async def test_a_cluster_out_of_reach_is_told_in_the_log(tmp_path: Path) -> None:
    port = free_port()
    options = ClusterOptions(address=f"127.0.0.1:{port}", cpus=1, gpus=0, start_timeout_s=1.0)
    environment = {**model_environment(tmp_path), **options.environment()}
    command = [sys.executable, "-m", DRIVER_MODULE, options.model_dump_json()]
    child = await Child.start(command, env=environment, log_path=tmp_path / "log")
    assert [message async for message in child.messages()] == []
    assert await child.wait() == 1
    assert f"The Ray cluster at 127.0.0.1:{port} cannot be reached from here." in child.log_tail()
