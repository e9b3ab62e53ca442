"""The `slm` command over real HTTP: what it prints where, and its exit codes."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from slm_client.cli.main import run
from slm_testing.waiting import eventually
from tests.support.fake_platform import FakePlatform

DATASET = {
    "id": "d1", "name": "commands-v1", "usage": "training", "status": "processed", "rows": 3, "format": "jsonl",
    "row_format": "prompt/completion", "size_bytes": 100, "mapping": {"prompt": "question"},
}  # fmt: skip
EXPERIMENT = {
    "id": "e1",
    "run_id": "r1",
    "name": "commands",
    "status": "running",
    "attempt": 1,
    "config": {"epochs": 1},
}
PROGRESS = {"progress": {"step": 5, "total_steps": 10, "loss": 2.5, "tokens_per_s": 900.0, "eta_s": 3.0}}
COMPLETED = {**EXPERIMENT, "status": "completed", "train_loss": 0.25, "eval_loss": 0.5, "steps": 10}
FAILED = {
    **EXPERIMENT,
    "status": "failed",
    "error": {"code": "out_of_memory", "message": "No memory.", "blame": "user"},
}
RUN = {"id": "r1", "experiment_id": "e1", "name": "commands", "state": "queued", "config": {}}
EVALUATION = {
    "id": "v1", "model": {"id": "m1", "name": "commands-v1"}, "dataset": {"id": "d2", "name": "commands-eval-v1"},
    "status": "completed", "rows": 2, "metrics": {"loss": 0.5, "exact_match": 0.75},
    "samples": [{"prompt": "turn on", "expected": "[on]", "generated": "[on]", "exact": True}],
}  # fmt: skip
MODEL = {"id": "m1", "name": "commands-v1", "kind": "fine_tuned", "base_model": {"id": "m0", "name": "nano-v1"}}
LINEAGE = {
    "nodes": [{"id": "1", "type": "dataset", "name": "a"}, {"id": "2", "type": "run", "name": "nightly"}],
    "edges": [{"source": "1", "target": "2", "relation": "trained"}],
}
OVERVIEW: dict[str, Any] = {"datasets": {"total": 1, "by_status": {"processed": 1}}, "unavailable": ["training"]}

Slm = Callable[..., Awaitable[int]]


@pytest.fixture
def slm(platform: FakePlatform, monkeypatch: pytest.MonkeyPatch) -> Slm:
    """`await slm("datasets", "list")` runs the command against the fake platform and gives its exit code."""
    monkeypatch.setenv("SLM_GATEWAY_URL", platform.address)
    return lambda *arguments: asyncio.to_thread(run, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "answer", "shown"),
    [
        (["datasets", "list"], {"items": [DATASET]}, "commands-v1"),
        (["datasets", "show", "commands"], DATASET, "prompt = question"),
        (["datasets", "preview", "commands"], {"items": [{"a": 1, "b": "[x]"}]}, "[x]"),
        (["runs", "list"], {"items": [RUN]}, "queued"),
        (["runs", "show", "r1"], RUN, "r1"),
        (["runs", "cancel", "r1"], {**RUN, "state": "cancelling"}, "cancelling"),
        (["experiments", "list"], {"items": [{**EXPERIMENT, **PROGRESS}]}, "5/10"),
        (["experiments", "show", "e1"], COMPLETED, "0.2500"),
        (["experiments", "log", "e1"], {"lines": [{"seq": 1, "level": "info", "message": "step 1"}]}, "step 1"),
        (["models", "list"], {"items": [MODEL]}, "nano-v1"),
        (["models", "show", "commands-v1"], MODEL, "fine_tuned"),
        (["models", "lineage", "commands-v1"], LINEAGE, "run nightly"),
        (["evaluations", "list"], {"items": [EVALUATION]}, "0.7500"),
        (["evaluations", "show", "v1"], EVALUATION, "turn on"),
        (["overview"], OVERVIEW, "1 (1 processed)"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
async def test_what_is_asked_for_is_shown_and_is_json_when_wanted(
    platform: FakePlatform, slm: Slm, capsys: pytest.CaptureFixture[str], arguments: list[str], answer: Any, shown: str
) -> None:
    platform.will_answer(answer, answer)
    assert await slm(*arguments) == 0
    assert shown in capsys.readouterr().out
    assert await slm(*arguments, "--json") == 0
    assert json.loads(capsys.readouterr().out) == answer


async def test_upload_waits_until_processed(
    platform: FakePlatform, slm: Slm, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "commands.jsonl"
    path.write_text('{"text": "x"}\n')
    platform.will_answer({**DATASET, "status": "in_progress"}, DATASET)
    assert await slm("datasets", "upload", str(path), "--usage", "training", "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["name"] == "commands-v1"
    assert "Upload" in captured.err
    assert b'name="name"\r\n\r\ncommands' in platform.asked[0][3]


async def test_a_broken_file_is_told_with_its_line(
    platform: FakePlatform, slm: Slm, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "commands.jsonl"
    path.write_text("{")
    error = {"code": "malformed_json", "message": "The row is not JSON.", "line": 17, "hint": "Fix the row."}
    platform.will_answer({**DATASET, "status": "error", "error": error})
    platform.will_answer({**DATASET, "status": "error", "error": error})
    assert await slm("datasets", "upload", str(path)) == 1
    told = capsys.readouterr().err.splitlines()[-2:]
    expected = "Error: Dataset commands-v1: The row is not JSON. (line 17) [malformed_json]"
    assert told == [expected, "Hint: Fix the row."]


async def test_training_is_followed_to_its_end(
    platform: FakePlatform, slm: Slm, capsys: pytest.CaptureFixture[str]
) -> None:
    platform.will_answer(RUN, OVERVIEW, {**EXPERIMENT, "status": "queued"}, EXPERIMENT, {**EXPERIMENT, **PROGRESS})
    platform.will_answer(COMPLETED)
    options = ["--dataset", "commands", "--epochs", "1", "--learning-rate", "1e-3", "--method", "lora"]
    assert await slm("train", *options, "--follow") == 0
    assert "train loss 0.2500, eval loss 0.5000" in capsys.readouterr().err
    expected = {"name": "commands", "training_dataset": "commands", "epochs": 1.0, "learning_rate": 0.001}
    assert json.loads(platform.asked[0][3]) == {**expected, "method": "lora"}


async def test_failed_training_is_exit_code_1(
    platform: FakePlatform, slm: Slm, capsys: pytest.CaptureFixture[str]
) -> None:
    platform.will_answer(OVERVIEW, FAILED, FAILED)
    assert await slm("experiments", "watch", "e1") == 1
    assert "No memory. [out_of_memory]" in capsys.readouterr().err


async def test_configuration_file_and_options_that_win(platform: FakePlatform, slm: Slm, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("training_dataset: commands\nlearning_rate: 1e-3\nepochs: 3\nname: nightly\n")
    platform.will_answer(RUN)
    assert await slm("train", str(config), "--epochs", "2") == 0
    sent = json.loads(platform.asked[0][3])
    assert sent == {"training_dataset": "commands", "learning_rate": 0.001, "epochs": 2.0, "name": "nightly"}


async def test_options_win_over_blocks_and_a_data_file_is_uploaded(
    platform: FakePlatform, slm: Slm, tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    config = tmp_path / "config.yaml"
    config.write_text(
        "model: {name: nightly}\ntraining_data: {source: file, path: rows.jsonl, validation_split: 0.1}\n"
        "hyperparameters: {num_train_epochs: 3, learning_rate: 5e-5}\n"
    )
    platform.will_answer(OVERVIEW, DATASET, DATASET, RUN)
    assert await slm("train", str(config), "--epochs", "2", "--draft") == 0
    sent = json.loads(platform.asked[-1][3])
    assert sent["training_data"] == {"validation_split": 0.1}
    assert sent["hyperparameters"] == {"learning_rate": 5e-5}
    assert (sent["epochs"], sent["training_dataset"], sent["draft"]) == (2.0, "commands-v1", True)


@pytest.mark.parametrize(
    ("words", "method", "path"),
    [
        (["runs", "start", "r1"], "POST", "/api/runs/r1:start"),
        (["runs", "pause", "r1"], "POST", "/api/runs/r1:pause"),
        (["runs", "resume", "r1"], "POST", "/api/runs/r1:resume"),
        (["runs", "reproduce", "r1"], "POST", "/api/runs/r1:reproduce"),
        (["runs", "clone", "r1"], "POST", "/api/runs/r1:clone"),
        (["runs", "priority", "r1", "5"], "PUT", "/api/runs/r1/priority"),
        (["runs", "launch-plan", "p1"], "POST", "/api/plans/p1:launch"),
    ],
)
async def test_runs_are_steered(platform: FakePlatform, slm: Slm, words: list[str], method: str, path: str) -> None:
    platform.will_answer(RUN)
    assert await slm(*words) == 0
    assert platform.asked[0][:2] == (method, path)


@pytest.mark.parametrize("text", ["a: [1,\nb: 2", "- 1\n- 2", "1: x", "", "a: !!python/object:os.system x", "\x00"])
async def test_a_bad_configuration_file_is_bad_input(
    slm: Slm, capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text)
    assert await slm("train", str(config)) == 2
    assert "Error: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "code"), [(404, 3), (409, 3), (422, 2), (415, 2), (500, 1)]
)  # fmt: skip
async def test_refusals_are_one_line_and_a_code(
    platform: FakePlatform, slm: Slm, capsys: pytest.CaptureFixture[str], status: int, code: int
) -> None:
    platform.will_refuse(status, "some_code", detail="It is so.", hint="Do this.")
    assert await slm("models", "show", "x", "--json") == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "Error: It is so.\nHint: Do this.\n")


@pytest.mark.parametrize("arguments", [["nonsense"], ["datasets", "lst"], ["train"], ["runs", "show"], ["--nope"]])
async def test_wrong_use_is_exit_code_2(slm: Slm, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert await slm(*arguments) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in told] == ["Error", "Hint"]


async def test_nobody_there_is_exit_code_4(slm: Slm, capsys: pytest.CaptureFixture[str]) -> None:
    assert await slm("overview", "--gateway", "http://127.0.0.1:9") == 4
    assert "127.0.0.1:9" in capsys.readouterr().err


async def test_events_are_lines_of_json(platform: FakePlatform, slm: Slm, capsys: pytest.CaptureFixture[str]) -> None:
    stream = 'id: {n}\nevent: run.launched\ndata: {{"id":"x","data":{{"name":"a"}}}}\n\n'
    platform.will_stream(*(stream.format(n=n) for n in range(1, 4)))
    assert await slm("events", "--limit", "2", "--json") == 0
    assert [json.loads(line)["sequence"] for line in capsys.readouterr().out.splitlines()] == [2, 3]


async def test_ctrl_c_ends_cleanly_and_says_what_goes_on(platform: FakePlatform) -> None:
    platform.will_answer(OVERVIEW, *([{**EXPERIMENT, **PROGRESS}] * 200))
    program = [sys.executable, "-c", "from slm_client.cli import main; main()"]
    arguments = ["experiments", "watch", "e1", "--gateway", platform.address]
    process = await asyncio.create_subprocess_exec(*program, *arguments, stderr=PIPE, stdout=PIPE)

    async def is_watching() -> bool:
        return len(platform.asked) > 3

    await eventually(is_watching)
    process.send_signal(signal.SIGINT)
    _, told = await process.communicate()
    assert process.returncode == 130
    assert "watch it again: slm experiments watch e1" in told.decode()
    assert "Traceback" not in told.decode()


async def test_a_reader_that_leaves_early_is_no_error(platform: FakePlatform) -> None:
    platform.will_answer({"items": [DATASET] * 2000})
    program = f"{sys.executable} -c 'from slm_client.cli import main; main()'"
    command = f"{program} datasets list --gateway {platform.address} | head -1"
    process = await asyncio.create_subprocess_shell(command, stderr=PIPE, stdout=PIPE)
    shown, told = await process.communicate()
    assert (len(shown.splitlines()), told) == (1, b"")


async def test_demo_shows_what_came_of_it(
    platform: FakePlatform, slm: Slm, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "own.csv"
    path.write_text("question,answer\n" + "".join(f"q{n},a{n}\n" for n in range(40)))
    base = {"id": "v0", "model": MODEL["base_model"], "dataset": EVALUATION["dataset"], "status": "completed"}
    wrong = {"prompt": "turn on", "expected": "[on]", "generated": "once upon", "exact": False}
    base |= {"metrics": {"loss": 3.5, "exact_match": 0.0}, "samples": [wrong]}
    held_out = {**DATASET, "id": "d2", "name": "own-eval-v1", "usage": "evaluation"}
    platform.will_answer(OVERVIEW, DATASET, held_out, DATASET, held_out, RUN, COMPLETED, COMPLETED)
    platform.will_answer({"items": [MODEL]}, {"items": [EVALUATION]}, {"items": [base]}, base, EVALUATION)
    assert await slm("demo", "--data", str(path)) == 0
    shown = capsys.readouterr().out
    for part in ("commands-v1", "nano-v1", "75.0%", "0.0%", "once upon", "[on]", "slm models card commands-v1"):
        assert part in shown
