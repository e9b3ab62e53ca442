"""Both clients over real HTTP."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from slm_client import AsyncSlmClient, SlmClient, SlmError, UnreachableError, WaitTimeoutError
from slm_client.errors import UnexpectedAnswerError
from slm_client.pipeline import PipelineError
from tests.support.clients import QUICK, Ask
from tests.support.fake_platform import FakePlatform

NAMES = {"id": "9", "name": "rows-v1"}
RUN = {"id": "1", "experiment_id": "2", "name": "commands", "state": "queued"}
DATASET = {"id": "3", "name": "commands-v1", "status": "in_progress"}


async def test_reading_and_launching(platform: FakePlatform, ask: Ask) -> None:
    platform.will_answer({"items": [RUN], "next_cursor": "c"}, RUN)
    page = await ask(lambda client: client.runs.list(limit=1, cursor="a b"))
    run = await ask(lambda client: client.runs.launch({"name": "commands", "epochs": None}))
    assert (page.items[0].name, page.next_cursor, run.state) == ("commands", "c", "queued")
    assert platform.asked[0][1] == "/api/runs?limit=1&cursor=a+b"
    assert platform.asked[1][3] == b'{"name":"commands"}'


async def test_fields_of_a_newer_platform_are_kept(platform: FakePlatform, ask: Ask) -> None:
    platform.will_answer({**RUN, "colour": "blue"})
    run = await ask(lambda client: client.runs.get("1"))
    assert run.model_dump()["colour"] == "blue"


async def test_a_retry_carries_the_same_key_and_each_request_another(platform: FakePlatform, ask: Ask) -> None:
    platform.will_refuse(503, "unavailable", headers={"Retry-After": "0"})
    platform.will_answer(RUN, RUN)
    for _ in range(2):
        await ask(lambda client: client.runs.launch({}))
    first, again, second = platform.headers("idempotency-key")
    assert first == again != second


async def test_a_key_of_the_caller_is_sent(platform: FakePlatform, ask: Ask) -> None:
    platform.will_answer(RUN, RUN)
    await ask(lambda client: client.runs.launch({}, idempotency_key="order-7"))
    await ask(lambda client: client.runs.launch_plan("1", idempotency_key="order-8"))
    assert platform.headers("idempotency-key") == ["order-7", "order-8"]


async def test_references_cannot_leave_their_place_in_the_path(platform: FakePlatform, ask: Ask) -> None:
    with pytest.raises(SlmError, match="No such thing"):
        await ask(lambda client: client.models.get("../runs/1?x=y#z"))
    assert platform.asked[0][1] == "/api/models/..%2Fruns%2F1%3Fx%3Dy%23z"


async def test_a_refusal_tells_all_it_knows(platform: FakePlatform, ask: Ask) -> None:
    wrong = [{"field": "epochs", "message": "is too large"}]
    platform.will_refuse(422, "field_invalid", detail="Wrong.", hint="Use less.", errors=wrong)
    with pytest.raises(SlmError) as caught:
        await ask(lambda client: client.runs.launch({}))
    error = caught.value
    assert (error.status, error.code, error.hint, error.request_id) == (422, "field_invalid", "Use less.", "r-1")
    assert [(each.field, each.message) for each in error.errors] == [("epochs", "is too large")]


async def test_patience_ends(platform: FakePlatform, ask: Ask) -> None:
    for _ in range(5):
        platform.will_refuse(503, "unavailable", headers={"Retry-After": "0"})
    with pytest.raises(SlmError, match="unavailable"):
        await ask(lambda client: client.runs.get("1"))
    assert len(platform.asked) == QUICK.attempts


@pytest.mark.parametrize("body", ["<html>proxy</html>", '{"id": 1}', "[]", ""])
async def test_what_is_not_the_platform_is_recognised(platform: FakePlatform, ask: Ask, body: str) -> None:
    platform.will_stream(body, media_type="text/html")
    with pytest.raises(UnexpectedAnswerError):
        await ask(lambda client: client.runs.get("1"))


@pytest.mark.parametrize("client", [AsyncSlmClient, SlmClient])
async def test_nobody_there(client: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(UnreachableError, match=str(port)):
        await Ask(f"http://127.0.0.1:{port}", client)(lambda client: client.overview())


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "ftp://x", "http://", "http://[::1", "nonsense"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(SlmError, match="not an http"):
        SlmClient(address)


async def test_upload_counts_bytes_and_starts_over_when_repeated(
    platform: FakePlatform, ask: Ask, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"text": "x"}\n' * 20_000)
    counted: list[int] = []
    platform.will_refuse(503, "unavailable", headers={"Retry-After": "0"})
    platform.will_answer(DATASET, status=202)
    await ask(
        lambda client: client.datasets.upload(path, usage="evaluation", name="rows", on_progress=counted.append),
    )
    sent = platform.asked[1][3]
    assert path.read_bytes() in sent
    assert b'name="usage"\r\n\r\nevaluation' in sent
    assert sum(counted) == path.stat().st_size
    assert min(counted) < 0


async def test_a_file_is_uploaded_under_its_name(platform: FakePlatform, ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n")
    platform.will_answer(DATASET, status=202)
    assert (await ask(lambda client: client.datasets.upload(path))).name == "commands-v1"
    assert b'filename="rows.csv"' in platform.asked[0][3]


async def test_waiting_ends_with_the_work_or_the_deadline(platform: FakePlatform, ask: Ask) -> None:
    platform.will_answer(DATASET, {**DATASET, "status": "processed"})
    seen: list[str] = []
    dataset = await ask(lambda client: client.datasets.wait("3", on_change=lambda each: seen.append(each.status)))
    assert (dataset.status, seen) == ("processed", ["in_progress", "processed"])
    platform.will_answer(DATASET)
    with pytest.raises(WaitTimeoutError):
        await ask(lambda client: client.datasets.wait("3", timeout_s=0.01))


async def test_download_appears_only_when_complete(platform: FakePlatform, ask: Ask, tmp_path: Path) -> None:
    platform.will_stream("ab", "cd", media_type="application/octet-stream")
    target = tmp_path / "out.bin"
    assert await ask(lambda client: client.datasets.download("3", target)) == 4
    assert target.read_bytes() == b"abcd"
    with pytest.raises(SlmError, match="No such thing"):
        await ask(lambda client: client.datasets.download("4", tmp_path / "other"))
    assert os.listdir(tmp_path) == ["out.bin"]


async def test_feed_continues_where_it_broke(platform: FakePlatform, ask: Ask) -> None:
    one = 'id: 7\nevent: run.launched\ndata: {"id":"e7","data":{"name":"a"}}\n\n'
    platform.will_stream("id: 6\nretry: 1000\n\n", ": still here\n\n", one)
    platform.will_refuse(503, "unavailable", headers={"Retry-After": "0"})
    platform.will_stream('id: 8\nevent: run.launched\ndata: {"id":"e8","data":{}}\n\n')
    seen = await ask(lambda client: client.events(types=("run.launched",)), first=2)
    assert [(event.sequence, event.type, event.id) for event in seen] == [
        (7, "run.launched", "e7"),
        (8, "run.launched", "e8"),
    ]
    assert platform.headers("last-event-id") == [None, "7", "7"]


async def test_past_events_end(platform: FakePlatform, ask: Ask) -> None:
    platform.will_stream('id: 1\nevent: run.launched\ndata: {"data":{}}\n\n')
    events = await ask(lambda client: client.events(follow=False, after=0))
    assert [event.sequence for event in events] == [1]
    assert platform.asked[0][1] == "/api/events?follow=false"


async def test_a_pipeline_ends_with_the_evaluation(platform: FakePlatform, ask: Ask) -> None:
    run = {"id": "r1", "experiment_id": "e1", "name": "n", "state": "queued", "evaluation_dataset": NAMES}
    experiment = {"id": "e1", "run_id": "r1", "status": "completed"}
    model = {"id": "m1", "name": "support-v3"}
    evaluation = {"id": "v1", "model": NAMES, "dataset": NAMES, "status": "completed", "metrics": {"loss": 0.5}}
    platform.will_answer(run, experiment, {"items": [model]}, {"items": [evaluation]}, evaluation)
    config = {"training_dataset": "commands-v1", "evaluation_dataset": "commands-eval-v1"}
    found = await ask(lambda client: client.run_pipeline(config, "support-v2"))
    assert found.metrics == {"loss": 0.5}
    sent = json.loads(platform.asked[0][3])
    assert sent == {**config, "family": "support", "name": "support"}


async def test_a_pipeline_tells_which_stage_failed(platform: FakePlatform, ask: Ask) -> None:
    run = {"id": "r1", "experiment_id": "e1", "name": "n", "state": "queued", "evaluation_dataset": NAMES}
    error = {"code": "diverged", "message": "The loss was not finite at step 3."}
    platform.will_answer(run, {"id": "e1", "run_id": "r1", "status": "failed", "error": error})
    with pytest.raises(PipelineError) as caught:
        await ask(lambda client: client.run_pipeline({"name": "n", "training_dataset": "d"}))
    assert (caught.value.code, "step 3" in caught.value.message) == ("diverged", True)
