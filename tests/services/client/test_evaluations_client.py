"""What the client and the command say about evaluations, as HTTP."""

import asyncio
import json
from pathlib import Path

import pytest

from slm_client.cli.main import run
from tests.support.clients import Ask
from tests.support.fake_platform import FakePlatform

EVALUATION = {
    "id": "7",
    "model": {"id": "4", "name": "commands-v1"},
    "dataset": {"id": "3", "name": "letters-v1"},
    "status": "queued",
    "metrics": {"loss": 1.5},
}


async def test_an_evaluation_is_asked_for_called_off_and_wanted_again(platform: FakePlatform, ask: Ask) -> None:
    platform.will_answer(EVALUATION, EVALUATION | {"status": "cancelled"}, EVALUATION, status=202)
    made = await ask(lambda client: client.evaluations.create("commands", "letters", metrics=["bleu"], generations=5))
    gone = await ask(lambda client: client.evaluations.cancel(made.id))
    await ask(lambda client: client.evaluations.retry(made.id))
    assert (made.is_finished, gone.is_finished) == (False, True)
    body = {"model": "commands", "dataset": "letters", "metrics": ["bleu"], "generations": 5}
    assert json.loads(platform.asked[0][3]) == body
    assert [path for _, path, _, _ in platform.asked[1:]] == [
        "/api/evaluations/7:cancel",
        "/api/evaluations/7:retry",
    ]
    assert all(platform.headers("idempotency-key"))


async def test_predictions_and_curves_are_read(platform: FakePlatform, ask: Ask) -> None:
    sample = {"prompt": "p", "expected": "e", "generated": "g", "exact": False, "row": 3, "loss": 2.0}
    curves = {"experiment_id": "2", "series": {"loss": [{"step": 1, "value": None}]}, "statistics": {"steps": 9}}
    platform.will_answer({"items": [sample], "offset": 0, "total": 1}, curves)
    page = await ask(lambda client: client.evaluations.predictions("7", sort="-loss", exact=False, limit=5))
    found = await ask(lambda client: client.evaluations.curves("7"))
    assert (page.items[0].row, page.total, found.series["loss"][0].value) == (3, 1, None)
    assert platform.asked[0][1] == "/api/evaluations/7/predictions?sort=-loss&exact=false&limit=5"


async def command(platform: FakePlatform, *arguments: str) -> int:
    """Run a command line beside the server."""
    return await asyncio.to_thread(run, [*arguments, "--gateway", platform.address])


async def test_the_command_compares_and_saves(
    platform: FakePlatform, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    metric = {"name": "loss", "first": 2.0, "second": 1.0, "difference": -1.0, "low": -1.5, "high": -0.5}
    comparison = {"first": EVALUATION, "second": EVALUATION, "metrics": [metric | {"verdict": "better"}]}
    platform.will_answer(comparison)
    assert await command(platform, "evaluations", "compare", "7", "8") == 0
    shown = capsys.readouterr().out
    assert "-1.5000 to -0.5000" in shown
    assert "better" in shown
    platform.will_stream('{"row": 0}\n', media_type="application/x-ndjson")
    target = tmp_path / "answers.jsonl"
    assert await command(platform, "evaluations", "predictions", "7", "-o", str(target)) == 0
    assert target.read_text() == '{"row": 0}\n'


async def test_a_suite_is_asked_for_and_told_of(platform: FakePlatform, capsys: pytest.CaptureFixture[str]) -> None:
    suite = {"name": "answers", "tasks": ["answer_exact"], "local": ["answer_exact"], "limit": None}
    platform.will_answer({"items": [suite]})
    assert await command(platform, "evaluations", "suites") == 0
    assert "answer_exact" in capsys.readouterr().out
    report = {"suite": "answers", "lm_eval": "9.9", "tasks": {"answer_exact": {"version": "1", "rows": 12}}}
    platform.will_answer(EVALUATION | {"metrics": {"answer_exact.exact_match": 0.5}, "report": report}, status=202)
    assert await command(platform, "evaluations", "run", "commands", "letters", "--suite", "answers") == 0
    shown = capsys.readouterr().out
    assert json.loads(platform.asked[1][3]) == {"model": "commands", "dataset": "letters", "suite": "answers"}
    assert all(each in shown for each in ("answer_exact.exact_match", "lm-eval 9.9", "version 1, 12 rows, 0-shot"))
