"""Every method of every resource, through both clients: what it sends, and that it reads the answer."""

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slm_client import AsyncSlmClient, SlmClient, calls
from slm_client.asynchronous.resource import AsyncResource
from slm_client.models import DeadLetter, Run
from slm_client.synchronous.resource import Resource
from tests.support.clients import Ask
from tests.support.fake_platform import FakePlatform

RUN = {"id": "r", "experiment_id": "e", "name": "n", "state": "queued"}
PLAN = {"id": "p", "status": "ready"}
DATASET = {"id": "d", "name": "d-v1", "status": "processed"}
REPORT = {"dataset_id": "d", "name": "d-v1", "rows": 1, "quality_status": "done"}
TOKENS = {"id": "t", "dataset_id": "d", "status": "done", "model_id": "m", "model_name": "m-v1", "max_length": 8}
COMPARISON = {"id": "c", "dataset_id": "d", "status": "done", "other_id": "o", "other_name": "o-v1"}
PART = {"number": 1, "offset": 0, "size_bytes": 3}
UPLOAD = {"id": "u", "status": "open", "file_name": "r", "size_bytes": 3, "part_bytes": 8, "parts": [PART]}
EXPERIMENT = {"id": "e", "run_id": "r", "status": "completed"}
MODEL = {"id": "m", "name": "m-v1"}
EVALUATION = {"id": "v", "model": MODEL, "dataset": DATASET, "status": "completed"}
LETTER = DeadLetter(consumer="c", event_id="x")
PROMOTION = {"model": "m-v1"}

Method = Callable[[Any, Path], Any]
"""Uses a client, and a folder with `rows.jsonl` and `model/config.json` in it."""

Cases = dict[str, tuple[Method, list[Any], list[str]]]
"""By the name of a method: its use, what the platform answers, and what is sent."""

RUNS: Cases = {
    "launch": (lambda c, _: c.runs.launch({}), [RUN], ["POST /api/runs"]),
    "draft": (lambda c, _: c.runs.draft({}), [RUN], ["POST /api/runs"]),
    "list": (lambda c, _: c.runs.list(tag="x"), [{"items": [RUN]}], ["GET /api/runs?tag=x"]),
    "list_all": (
        lambda c, _: c.runs.list_all(tag="x"),
        [{"items": [RUN], "next_cursor": "y"}, {"items": [RUN]}],
        ["GET /api/runs?tag=x&limit=100", "GET /api/runs?tag=x&limit=100&cursor=y"],
    ),
    "get": (lambda c, _: c.runs.get("r"), [RUN], ["GET /api/runs/r"]),
    "edit": (lambda c, _: c.runs.edit(Run.model_validate(RUN), {}), [RUN], ["PATCH /api/runs/r"]),
    "remove": (lambda c, _: c.runs.remove("r"), [{}], ["DELETE /api/runs/r"]),
    "start": (lambda c, _: c.runs.start("r"), [RUN], ["POST /api/runs/r:start"]),
    "cancel": (lambda c, _: c.runs.cancel("r"), [RUN], ["POST /api/runs/r:cancel"]),
    "pause": (lambda c, _: c.runs.pause("r"), [RUN], ["POST /api/runs/r:pause"]),
    "resume": (lambda c, _: c.runs.resume("r"), [RUN], ["POST /api/runs/r:resume"]),
    "clone": (lambda c, _: c.runs.clone("r"), [RUN], ["POST /api/runs/r:clone"]),
    "reproduce": (lambda c, _: c.runs.reproduce("r"), [RUN], ["POST /api/runs/r:reproduce"]),
    "set_priority": (lambda c, _: c.runs.set_priority("r", 1), [RUN], ["PUT /api/runs/r/priority"]),
    "schema": (lambda c, _: c.runs.schema(), [{"type": "object"}], ["GET /api/runs/schema"]),
    "preflight": (
        lambda c, _: c.runs.preflight({}),
        [PLAN | {"status": "planning"}, PLAN],
        ["POST /api/runs:preflight?wait_s=20", "GET /api/plans/p"],
    ),
    "plan": (lambda c, _: c.runs.plan("p"), [PLAN], ["GET /api/plans/p"]),
    "launch_plan": (lambda c, _: c.runs.launch_plan("p"), [RUN], ["POST /api/plans/p:launch"]),
}
DATASETS: Cases = {
    "upload": (lambda c, at: c.datasets.upload(at / "rows.jsonl"), [DATASET], ["POST /api/datasets"]),
    "upload_in_parts": (
        lambda c, at: c.datasets.upload_in_parts(at / "rows.jsonl"),
        [UPLOAD, PART, DATASET],
        ["POST /api/datasets/uploads", "PUT /api/datasets/uploads/u/parts/1", "POST /api/datasets/uploads/u:complete"],
    ),
    "abort_upload": (lambda c, _: c.datasets.abort_upload("u"), [{}], ["DELETE /api/datasets/uploads/u"]),
    "list": (lambda c, _: c.datasets.list(q="x"), [{"items": [DATASET]}], ["GET /api/datasets?q=x"]),
    "list_all": (lambda c, _: c.datasets.list_all(), [{"items": [DATASET]}], ["GET /api/datasets?limit=100"]),
    "get": (lambda c, _: c.datasets.get("d"), [DATASET], ["GET /api/datasets/d"]),
    "preview": (
        lambda c, _: c.datasets.preview("d"),
        [{"items": [{"a": 1}]}],
        ["GET /api/datasets/d/preview?offset=0&limit=20"],
    ),
    "download": (
        lambda c, at: c.datasets.download("d", at / "saved"),
        [{}],
        ["GET /api/datasets/d/download?format=raw"],
    ),
    "delete": (lambda c, _: c.datasets.delete("d"), [{}], ["DELETE /api/datasets/d"]),
    "retry": (lambda c, _: c.datasets.retry("d"), [DATASET], ["POST /api/datasets/d:retry"]),
    "problems": (lambda c, _: c.datasets.problems("d"), [{}], ["GET /api/datasets/d/problems"]),
    "report": (lambda c, _: c.datasets.report("d"), [REPORT], ["GET /api/datasets/d/report"]),
    "wait_for_report": (lambda c, _: c.datasets.wait_for_report("d"), [REPORT], ["GET /api/datasets/d/report"]),
    "split": (
        lambda c, _: c.datasets.split("d"),
        [{"train": DATASET, "validation": DATASET}],
        ["POST /api/datasets/d:split"],
    ),
    "request_token_report": (
        lambda c, _: c.datasets.request_token_report("d", model="m"),
        [TOKENS],
        ["POST /api/datasets/d/token_reports"],
    ),
    "get_token_report": (
        lambda c, _: c.datasets.get_token_report("d", "t"),
        [TOKENS],
        ["GET /api/datasets/d/token_reports/t"],
    ),
    "token_reports": (
        lambda c, _: c.datasets.token_reports("d", limit=2),
        [{"items": [TOKENS]}],
        ["GET /api/datasets/d/token_reports?limit=2"],
    ),
    "token_report": (
        lambda c, _: c.datasets.token_report("d", model="m"),
        [TOKENS, TOKENS],
        ["POST /api/datasets/d/token_reports", "GET /api/datasets/d/token_reports/t"],
    ),
    "request_comparison": (
        lambda c, _: c.datasets.request_comparison("d", other="o"),
        [COMPARISON],
        ["POST /api/datasets/d/comparisons"],
    ),
    "get_comparison": (
        lambda c, _: c.datasets.get_comparison("d", "c"),
        [COMPARISON],
        ["GET /api/datasets/d/comparisons/c"],
    ),
    "comparisons": (
        lambda c, _: c.datasets.comparisons("d"),
        [{"items": [COMPARISON]}],
        ["GET /api/datasets/d/comparisons"],
    ),
    "compare": (
        lambda c, _: c.datasets.compare("d", other="o"),
        [COMPARISON, COMPARISON],
        ["POST /api/datasets/d/comparisons", "GET /api/datasets/d/comparisons/c"],
    ),
    "card": (lambda c, _: c.datasets.card("d"), ["# d"], ["GET /api/datasets/d/card"]),
    "croissant": (lambda c, _: c.datasets.croissant("d"), [{"name": "d"}], ["GET /api/datasets/d/croissant"]),
    "save_thumbnail": (
        lambda c, at: c.datasets.save_thumbnail("d", 3, at / "saved"),
        [{}],
        ["GET /api/datasets/d/thumbnails/3"],
    ),
    "wait": (lambda c, _: c.datasets.wait("d"), [DATASET], ["GET /api/datasets/d"]),
}
EXPERIMENTS: Cases = {
    "list": (lambda c, _: c.experiments.list(), [{"items": [EXPERIMENT]}], ["GET /api/experiments"]),
    "list_all": (
        lambda c, _: c.experiments.list_all(limit=7),
        [{"items": [EXPERIMENT]}],
        ["GET /api/experiments?limit=7"],
    ),
    "get": (lambda c, _: c.experiments.get("e"), [EXPERIMENT], ["GET /api/experiments/e"]),
    "metrics": (
        lambda c, _: c.experiments.metrics("e", name="loss"),
        [{"experiment_id": "e"}],
        ["GET /api/experiments/e/metrics?name=loss"],
    ),
    "log": (
        lambda c, _: c.experiments.log("e", levels=["error"]),
        [{}],
        ["GET /api/experiments/e/log?limit=200&after=0&level=error"],
    ),
    "checkpoints": (lambda c, _: c.experiments.checkpoints("e"), [{}], ["GET /api/experiments/e/checkpoints"]),
    "drift": (
        lambda c, _: c.experiments.drift("e"),
        [{"original_id": "o", "experiment_id": "e", "identical": True}],
        ["GET /api/experiments/e/drift"],
    ),
    "compare": (
        lambda c, _: c.experiments.compare(["e", "f"]),
        [{}],
        ["GET /api/experiments:compare?id=e&id=f&points=500"],
    ),
    "wait": (lambda c, _: c.experiments.wait("e"), [EXPERIMENT], ["GET /api/experiments/e"]),
}
MODELS: Cases = {
    "list": (lambda c, _: c.models.list(family="f"), [{"items": [MODEL]}], ["GET /api/models?family=f"]),
    "list_all": (lambda c, _: c.models.list_all(), [{"items": [MODEL]}], ["GET /api/models?limit=100"]),
    "get": (lambda c, _: c.models.get("m"), [MODEL], ["GET /api/models/m"]),
    "register": (lambda c, at: c.models.register(at / "model", "f"), [MODEL], ["POST /api/models"]),
    "bring": (
        lambda c, at: c.models.bring(str(at / "model")),
        [{"items": []}, MODEL],
        ["GET /api/models?family=model&limit=100", "POST /api/models"],
    ),
    "edit": (lambda c, _: c.models.edit("m", tags=[]), [MODEL], ["PATCH /api/models/m"]),
    "delete": (lambda c, _: c.models.delete("m"), [{}], ["DELETE /api/models/m"]),
    "compare": (lambda c, _: c.models.compare("m", "n"), [{}], ["GET /api/models:compare?model=m&model=n"]),
    "usage": (lambda c, _: c.models.usage("m"), [{"model_id": "m"}], ["GET /api/models/m/usage"]),
    "aliases": (lambda c, _: c.models.aliases("m"), [{"family": "f"}], ["GET /api/models/m/aliases"]),
    "point_alias": (lambda c, _: c.models.point_alias("m", "a"), [{"family": "f"}], ["PUT /api/models/m/aliases/a"]),
    "remove_alias": (lambda c, _: c.models.remove_alias("m", "a"), [{}], ["DELETE /api/models/m/aliases/a"]),
    "card": (lambda c, _: c.models.card("m"), [{"name": "m"}], ["GET /api/models/m/card"]),
    "card_markdown": (lambda c, _: c.models.card_markdown("m"), ["# m"], ["GET /api/models/m/card?format=markdown"]),
    "card_html": (lambda c, _: c.models.card_html("m"), ["<p>m</p>"], ["GET /api/models/m/card?format=html"]),
    "lineage": (lambda c, _: c.models.lineage("m", depth=2), [{}], ["GET /api/models/m/lineage?depth=2"]),
    "lineage_text": (
        lambda c, _: c.models.lineage_text("m"),
        ["graph"],
        ["GET /api/models/m/lineage?format=mermaid"],
    ),
    "lineage_of": (lambda c, _: c.models.lineage_of("d"), [{}], ["GET /api/models:lineage?node=d"]),
    "containing": (
        lambda c, _: c.models.containing("d"),
        [{"dataset": "d"}],
        ["GET /api/models:containing?dataset=d"],
    ),
    "timeline": (lambda c, _: c.models.timeline("m", limit=3), [{}], ["GET /api/models/m/timeline?limit=3"]),
    "check_promotion": (lambda c, _: c.models.check_promotion("m"), [PROMOTION], ["GET /api/models/m/promotion"]),
    "promote": (lambda c, _: c.models.promote("m"), [PROMOTION], ["POST /api/models/m:promote"]),
    "roll_back": (lambda c, _: c.models.roll_back("m"), [MODEL], ["POST /api/models/m:rollback"]),
    "verify": (lambda c, _: c.models.verify("m"), [{"model": "m"}], ["GET /api/models/m/verification"]),
    "sign": (lambda c, _: c.models.sign("m"), [{"model": "m"}], ["POST /api/models/m:sign"]),
    "reproduce": (lambda c, _: c.models.reproduce("m"), [{"model": "m"}], ["GET /api/models/m/reproduce"]),
    "download": (lambda c, at: c.models.download("m", at / "saved"), [{}], ["GET /api/models/m/download"]),
    "download_file": (
        lambda c, at: c.models.download_file("m", "adapter/x.json", at / "saved"),
        [{}],
        ["GET /api/models/m/files/adapter/x.json"],
    ),
    "wait_for_experiment": (
        lambda c, _: c.models.wait_for_experiment("e"),
        [{"items": []}, {"items": [MODEL]}],
        ["GET /api/models?experiment_id=e"] * 2,
    ),
}
EVALUATIONS: Cases = {
    "list": (lambda c, _: c.evaluations.list(), [{"items": [EVALUATION]}], ["GET /api/evaluations"]),
    "list_all": (
        lambda c, _: c.evaluations.list_all(status="failed"),
        [{"items": []}],
        ["GET /api/evaluations?status=failed&limit=100"],
    ),
    "create": (lambda c, _: c.evaluations.create("m", "d"), [EVALUATION], ["POST /api/evaluations"]),
    "suites": (lambda c, _: c.evaluations.suites(), [{}], ["GET /api/evaluations:suites"]),
    "cancel": (lambda c, _: c.evaluations.cancel("v"), [EVALUATION], ["POST /api/evaluations/v:cancel"]),
    "retry": (lambda c, _: c.evaluations.retry("v"), [EVALUATION], ["POST /api/evaluations/v:retry"]),
    "compare": (
        lambda c, _: c.evaluations.compare("v", "w"),
        [{"first": EVALUATION, "second": EVALUATION}],
        ["GET /api/evaluations:compare?first=v&second=w"],
    ),
    "predictions": (
        lambda c, _: c.evaluations.predictions("v", offset=5),
        [{}],
        ["GET /api/evaluations/v/predictions?offset=5"],
    ),
    "download_predictions": (
        lambda c, at: c.evaluations.download_predictions("v", at / "saved"),
        [{}],
        ["GET /api/evaluations/v/predictions/download"],
    ),
    "curves": (lambda c, _: c.evaluations.curves("v"), [{"experiment_id": "e"}], ["GET /api/evaluations/v/curves"]),
    "get": (lambda c, _: c.evaluations.get("v"), [EVALUATION], ["GET /api/evaluations/v"]),
    "wait": (lambda c, _: c.evaluations.wait("v"), [EVALUATION], ["GET /api/evaluations/v"]),
    "wait_for": (
        lambda c, _: c.evaluations.wait_for(model_id="m", dataset_id="d"),
        [{"items": [EVALUATION]}],
        ["GET /api/evaluations?model_id=m&dataset_id=d"],
    ),
}
OPERATIONS: Cases = {
    "health": (lambda c, _: c.operations.health("s"), [{"service": "s"}], ["GET /api/operations/s"]),
    "dead_letters": (
        lambda c, _: c.operations.dead_letters("s"),
        [[]],
        ["GET /api/operations/s/dead-letters?limit=50"],
    ),
    "redrive": (
        lambda c, _: c.operations.redrive("s", LETTER),
        [{}],
        ["POST /api/operations/s/dead-letters/c/x:redrive"],
    ),
    "discard": (lambda c, _: c.operations.discard("s", LETTER), [{}], ["DELETE /api/operations/s/dead-letters/c/x"]),
    "audit": (lambda c, _: c.operations.audit("s"), [[]], ["GET /api/operations/s/audit?limit=50"]),
}

RESOURCES = {
    "runs": RUNS,
    "datasets": DATASETS,
    "experiments": EXPERIMENTS,
    "models": MODELS,
    "evaluations": EVALUATIONS,
    "operations": OPERATIONS,
}
CASES = {f"{resource}.{name}": case for resource, cases in RESOURCES.items() for name, case in cases.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_text("{}\n")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("name", CASES)
async def test_a_method_sends_what_its_endpoint_takes(
    platform: FakePlatform, ask: Ask, folder: Path, name: str
) -> None:
    method, answers, requests = CASES[name]
    platform.will_answer(*answers)
    await ask(lambda client: method(client, folder))
    assert [f"{verb} {target}" for verb, target, *_ in platform.asked] == requests
    assert platform.script == []


def test_every_method_of_both_clients_has_a_case() -> None:
    found = []
    for client in (SlmClient(), AsyncSlmClient()):
        resources = {name: each for name, each in vars(client).items() if isinstance(each, Resource | AsyncResource)}
        found.append({f"{name}.{method}" for name, each in resources.items() for method in _public_methods(each)})
    assert found == [CASES.keys(), CASES.keys()]


def _public_methods(resource: object) -> list[str]:
    return [name for name, _ in inspect.getmembers(resource, inspect.ismethod) if not name.startswith("_")]


async def test_an_answer_is_passed_on_as_it_arrives(platform: FakePlatform) -> None:
    call = calls.datasets.download("d", file_format="raw")
    for _ in range(2):
        platform.will_stream("ab", "cd", media_type="text/csv")
    async with AsyncSlmClient(platform.address) as client, client.open(call) as download:
        assert download.headers["content-type"].startswith("text/csv")
        assert b"".join([chunk async for chunk in download.chunks]) == b"abcd"

    def read() -> bytes:
        with SlmClient(platform.address) as client, client.open(call) as download:
            return b"".join(download.chunks)

    assert await asyncio.to_thread(read) == b"abcd"
