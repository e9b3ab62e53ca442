"""`slm datasets problems`, `retry`, `report`, `tokens`, `split`, `compare` and `card` over real HTTP."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from slm_client.cli.main import run
from tests.support.fake_platform import FakePlatform

Slm = Callable[..., Awaitable[int]]
Shown = pytest.CaptureFixture[str]

DATASET = {"id": "d1", "name": "reviews-v1", "status": "processed", "rows": 3, "skipped_rows": 2}
PROBLEMS = {
    "total": 2,
    "counts": {"malformed_json": 1, "not_an_object": 1},
    "skipped_rows": 2,
    "items": [
        {"code": "malformed_json", "message": "Line 3 is not valid JSON.", "line": 3, "sample": '{"a\x1b[2J'},
        {"code": "not_an_object", "message": "Line 9 is not a JSON object.", "line": 9, "sample": "[1]"},
    ],
}
QUALITY = {
    "duplicates": {"rows": 4, "examples": []},
    "near_duplicates": {"rows": 5, "examples": []},
    "empty_rows": 6,
    "languages": [{"language": "en", "rows": 30}, {"language": "de", "rows": 2}],
    "personal_data": {"email": {"rows": 7, "examples": [1]}},
    "personal_data_scan": {"detector": "presidio", "version": "2.2.366", "rows": 3000, "max_characters": 2000},
}
PROFILE = [
    {"name": "prompt", "type": "String", "nulls": 1, "empty": 2, "distinct": 29, "min_length": 4, "mean_length": 9.5},
    {"name": "score", "type": "Float64", "nulls": 0, "min": 0.25, "max": 0.75},
]
REPORT = {
    "dataset_id": "d1",
    "name": "reviews-v1",
    "rows": 32,
    "profile": PROFILE,
    "quality_status": "done",
    "quality": QUALITY,
}
COUNTS = {
    "rows": 30, "total_rows": 32, "kept_rows": 28, "truncated_rows": 3, "dropped_rows": 2,
    "dropped_because": {"nothing_to_learn": 2}, "max_length": 64, "total_tokens": 4321, "trained_tokens": 1234,
    "p50_length": 40, "p95_length": 60, "max_row_length": 77, "stop_token_trained": True,
    "samples": [
        {"row": 1, "outcome": "kept", "tokens": 5,
         "sequences": [[{"text": "Hello", "trained": False}, {"text": "Bye", "trained": True}]]}
    ],
}  # fmt: skip
TOKENS = {
    "id": "t1",
    "dataset_id": "d1",
    "status": "done",
    "model_id": "m1",
    "model_name": "nano-v1",
    "max_length": 64,
    "report": COUNTS,
}
COMPARED = {
    "id": "c1", "dataset_id": "d1", "status": "done", "other_id": "d2", "other_name": "held-out-v1",
    "report": {
        "rows": {"left": 32, "right": 8}, "added_rows": 11, "removed_rows": 12, "common_rows": 13,
        "exact": {"rows": 14}, "near": {"rows": 15, "sampled_rows": 16},
        "schema": {"added": ["score"], "removed": ["note"]},
    },
}  # fmt: skip
FAILED = {"status": "failed", "report": None, "error": {"code": "dataset_gone", "message": "It was deleted."}}


@pytest.fixture
def slm(platform: FakePlatform, monkeypatch: pytest.MonkeyPatch) -> Slm:
    """`await slm("datasets", "report", "x")` runs the command against the fake platform and gives its exit code."""
    monkeypatch.setenv("SLM_GATEWAY_URL", platform.address)
    return lambda *arguments: asyncio.to_thread(run, ["datasets", *arguments])


def asked(platform: FakePlatform) -> list[tuple[str, str]]:
    return [each[:2] for each in platform.asked]


def lines(shown: Shown) -> dict[str, str]:
    """What was printed as names and values."""
    pairs = (line.split("  ", 1) for line in shown.readouterr().out.splitlines() if "  " in line)
    return {name.strip(): value.strip() for name, value in pairs}


async def test_problems_are_shown_with_their_places(platform: FakePlatform, slm: Slm, capsys: Shown) -> None:
    platform.will_answer(PROBLEMS, PROBLEMS, {})
    assert await slm("problems", "reviews") == 0
    told = capsys.readouterr().out
    assert all(word in told for word in ("malformed_json", "Line 9 is not a JSON object.", "[1]"))
    assert "2 (1 malformed_json, 1 not_an_object)" in told
    assert "\x1b[2J" not in told
    assert await slm("problems", "reviews", "--json") == 0
    assert json.loads(capsys.readouterr().out) == PROBLEMS
    assert await slm("problems", "reviews") == 0
    assert lines(capsys)["Problems"] == "none"
    assert asked(platform)[0] == ("GET", "/api/datasets/reviews/problems")


async def test_retry_sends_how_to_read_and_waits(platform: FakePlatform, slm: Slm, capsys: Shown) -> None:
    platform.will_answer({**DATASET, "status": "in_progress"}, DATASET)
    options = ["--map", "prompt=question", "--map", "completion=reply", "--on-bad-rows", "skip"]
    assert await slm("retry", "reviews", *options) == 0
    assert "reviews-v1: 3 rows, 2 left out." in capsys.readouterr().out
    assert asked(platform)[0] == ("POST", "/api/datasets/reviews:retry")
    sent = {"mapping": {"prompt": "question", "completion": "reply"}, "on_bad_rows": "skip"}
    assert json.loads(platform.asked[0][3]) == sent


async def test_a_retry_that_fails_again_is_exit_code_1(platform: FakePlatform, slm: Slm, capsys: Shown) -> None:
    error = {"code": "unknown_column", "message": "There is no column frage."}
    platform.will_answer(*([{**DATASET, "status": "error", "error": error}] * 2))
    assert await slm("retry", "reviews") == 1
    assert "There is no column frage. [unknown_column]" in capsys.readouterr().err


async def test_a_report_is_waited_for_and_shown(platform: FakePlatform, slm: Slm, capsys: Shown) -> None:
    platform.will_answer({**REPORT, "quality_status": "queued", "quality": None}, REPORT, REPORT)
    assert await slm("report", "reviews") == 0
    told = lines(capsys)
    assert told["Rows"] == "32"
    assert (told["Exact duplicates"], told["Near duplicates"], told["Empty rows"]) == ("4", "5", "6")
    assert (told["Languages"], told["Personal data"]) == ("en 30, de 2", "email 7")
    assert told["Looked for it"] == "presidio 2.2.366, in 3000 rows"
    assert told["prompt"].split() == ["String", "3", "29", "4", "9.5", "-"]
    assert told["score"].split() == ["Float64", "0", "-", "0.25", "-", "0.75"]
    assert await slm("report", "reviews", "--json") == 0
    assert json.loads(capsys.readouterr().out) == REPORT
    assert asked(platform) == [("GET", "/api/datasets/reviews/report")] * 3


async def test_a_report_without_quality_shows_the_profile(platform: FakePlatform, slm: Slm, capsys: Shown) -> None:
    platform.will_answer({**REPORT, "quality_status": "failed", "quality": None})
    assert await slm("report", "reviews") == 0
    told = lines(capsys)
    assert told["Rows"] == "32"
    assert "Personal data" not in told


async def test_tokens_are_shown_with_what_is_learned_marked(platform: FakePlatform, slm: Slm, capsys: Shown) -> None:
    platform.will_answer({**TOKENS, "status": "queued", "report": None}, TOKENS)
    assert await slm("tokens", "reviews", "--model", "nano-v1", "--max-length", "64") == 0
    told = capsys.readouterr().out
    assert all(text in told for text in ("nano-v1, rows cut to 64 tokens", "30 of 32", "2 (2 nothing_to_learn)"))
    assert "4,321, 1,234 of them learned" in told
    assert "half up to 40, 95 % up to 60, at most 77" in told
    assert "Hello[Bye]" in told
    address = "/api/datasets/reviews/token_reports"
    assert asked(platform) == [("POST", address), ("GET", f"{address}/t1")]
    assert json.loads(platform.asked[0][3]) == {"model": "nano-v1", "max_length": 64}


async def test_a_split_makes_two_datasets(platform: FakePlatform, slm: Slm, capsys: Shown) -> None:
    train, held = ({**DATASET, "name": name, "rows": rows} for name, rows in (("a-train-v1", 27), ("a-val-v1", 3)))
    platform.will_answer({"train": train, "validation": held}, train, held)
    assert await slm("split", "reviews", "--validation", "0.25", "--seed", "7") == 0
    assert "a-train-v1: 27 rows, a-val-v1: 3 rows." in capsys.readouterr().out
    assert asked(platform)[0] == ("POST", "/api/datasets/reviews:split")
    assert json.loads(platform.asked[0][3]) == {"validation_fraction": 0.25, "seed": 7}


async def test_a_comparison_is_shown(platform: FakePlatform, slm: Slm, capsys: Shown) -> None:
    platform.will_answer({**COMPARED, "status": "queued", "report": None}, COMPARED)
    assert await slm("compare", "reviews", "held-out") == 0
    told = lines(capsys)
    assert (told["Compared with"], told["Rows"]) == ("held-out-v1", "32 and 8")
    assert [told[name] for name in ("Added", "Removed", "In both", "Same text in both")] == ["11", "12", "13", "14"]
    assert told["Nearly the same text"] == "15 of 16 looked at"
    assert (told["New columns"], told["Columns gone"]) == ("score", "note")
    assert json.loads(platform.asked[0][3]) == {"other": "held-out"}


@pytest.mark.parametrize(
    ("arguments", "answer"), [(["tokens", "reviews"], TOKENS), (["compare", "reviews", "held-out"], COMPARED)]
)
async def test_an_examination_that_failed_is_exit_code_1(
    platform: FakePlatform, slm: Slm, capsys: Shown, arguments: list[str], answer: dict[str, Any]
) -> None:
    platform.will_answer({**answer, **FAILED}, {**answer, **FAILED})
    assert await slm(*arguments) == 1
    assert "It was deleted. [dataset_gone]" in capsys.readouterr().err


async def test_a_card_is_printed_without_what_steers_a_terminal(
    platform: FakePlatform, slm: Slm, capsys: Shown
) -> None:
    card = "# reviews-v1\n\nA \x1b[31mred\x1b[0m card.\n"
    platform.script.append(PlainTextResponse(card, media_type="text/markdown"))
    assert await slm("card", "reviews") == 0
    told = capsys.readouterr().out
    assert told.startswith("# reviews-v1\n")
    assert "\x1b" not in told


@pytest.mark.parametrize("command", ["problems", "retry", "report", "tokens", "split", "card"])
async def test_a_dataset_that_is_not_there_is_exit_code_3(
    platform: FakePlatform, slm: Slm, capsys: Shown, command: str
) -> None:
    platform.will_refuse(404, "dataset_not_found", detail="There is no such dataset.")
    assert await slm(command, "nothing") == 3
    assert "Error: There is no such dataset." in capsys.readouterr().err
