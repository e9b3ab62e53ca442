"""The whole worker on the real service, with a real child that really measures."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from slm_shared.events.catalogue import EvaluationCompleted, EvaluationFailed
from slm_shared.storage import manifest
from slm_shared.storage.ids import new_id
from slm_shared.storage.signing import ArtifactSigner
from tests.support.evaluation import NANO, Rows, Site, WarmWork, command_rows, evaluator

METRICS = {
    "loss",
    "perplexity",
    "token_accuracy",
    "exact_match",
    "token_f1",
    "rouge_l",
    "bleu",
    "chrf",
    "accuracy",
    "macro_f1",
    "latency_ms_p50",
    "latency_ms_p95",
    "tokens_per_s",
    "memory_bytes",
    "peak_memory_bytes",
    "quality_score",
}


def losses(evaluations: Sequence[dict[str, Any]]) -> list[float]:
    """The loss of each."""
    return [item["metrics"]["loss"] for item in evaluations]


async def test_both_models_are_measured_from_end_to_end(site: Site, warm: WarmWork) -> None:
    rows = command_rows(24)
    (tuned,) = await site.queue(rows)
    async with evaluator(site, work=warm):
        baseline, measured = await site.ended()
    assert measured["baseline_evaluation_id"] == baseline["id"]
    for item in (baseline, measured):
        assert (item["status"], item["rows"], item["progress"], item["error"]) == ("completed", 24, 1.0, None)
        metrics = item["metrics"]
        assert set(metrics) == METRICS
        assert all(math.isfinite(value) for value in metrics.values())
        assert metrics["loss"] > 0
        assert metrics["perplexity"] == pytest.approx(math.exp(metrics["loss"]))
        assert 0 <= metrics["token_accuracy"] <= 1
        assert 0 < metrics["latency_ms_p50"] <= metrics["latency_ms_p95"]
        assert metrics["tokens_per_s"] > 0
        assert 0 < metrics["memory_bytes"] <= metrics["peak_memory_bytes"]
        page = (await site.user.get(f"/api/evaluations/{item['id']}/predictions")).json()
        assert page["total"] == 24
        assert [(each["prompt"], each["expected"]) for each in page["items"]] == [
            (row["prompt"], row["completion"]) for row in rows
        ]
        exact = [each["expected"].strip() == each["generated"].strip() for each in page["items"]]
        assert [each["exact"] for each in page["items"]] == exact
        assert metrics["exact_match"] == sum(exact) / 24
        assert [each["prompt"] for each in item["samples"]] == [row["prompt"] for row in rows[:5]]
    announced = await site.events.all(EvaluationCompleted)
    assert [str(event.evaluation_id) for event in announced] == [baseline["id"], measured["id"]]
    assert announced[1].metrics == measured["metrics"]
    assert (announced[1].model_id, announced[1].dataset_id) == (tuned.model_id, tuned.evaluation_dataset_id)


async def test_the_same_model_and_rows_give_the_same_numbers(site: Site, warm: WarmWork) -> None:
    rows = command_rows(16)
    await site.queue(rows, rows)
    async with evaluator(site, work=warm):
        evaluations = await site.ended()
    assert [item["status"] for item in evaluations] == ["completed"] * 4
    assert len({item["dataset"]["id"] for item in evaluations}) == 2
    assert len(set(losses(evaluations))) == 1
    generated = [[sample["generated"] for sample in item["samples"]] for item in evaluations]
    assert generated == [generated[0]] * 4


async def test_other_rows_give_another_loss(site: Site, warm: WarmWork) -> None:
    rows = command_rows(16)
    await site.queue(rows, [row | {"completion": "?!" + row["prompt"][::-1]} for row in rows])
    async with evaluator(site, work=warm):
        evaluations = await site.ended()
    first, _, second, _ = losses(evaluations)
    assert first < second


@pytest.mark.parametrize("overrides", [{"generations": 0}], ids=["no-answers"])
async def test_without_answers_there_is_only_the_loss(site: Site, warm: WarmWork) -> None:
    await site.queue(command_rows(8))
    async with evaluator(site, work=warm):
        evaluations = await site.ended()
    for item in evaluations:
        assert (item["status"], item["samples"]) == ("completed", [])
        assert set(item["metrics"]) == {"loss", "perplexity", "token_accuracy", "quality_score"}
        page = (await site.user.get(f"/api/evaluations/{item['id']}/predictions")).json()
        assert page == {"items": [], "offset": 0, "total": 0}


async def test_damaged_rows_are_not_measured(site: Site, warm: WarmWork) -> None:
    (tuned,) = await site.queue(command_rows(4))
    assert tuned.evaluation_dataset_key is not None
    await site.store.put_bytes(tuned.evaluation_dataset_key, b"something else")
    async with evaluator(site, work=warm):
        evaluations = await site.ended()
    for item in evaluations:
        assert (item["status"], item["metrics"]) == ("failed", {})
        assert (item["error"]["code"], item["error"]["blame"]) == ("input_damaged", "system")
    assert {event.code for event in await site.events.all(EvaluationFailed)} == {"input_damaged"}


@pytest.mark.parametrize("file", ["model.safetensors", manifest.MANIFEST_NAME])
async def test_a_damaged_model_is_not_measured(site: Site, warm: WarmWork, file: str) -> None:
    (tuned,) = await site.queue(command_rows(4))
    await site.store.put_bytes(f"{tuned.artifact_prefix}/{file}", b"something else")
    async with evaluator(site, work=warm):
        baseline, measured = await site.ended()
    assert baseline["status"] == "completed"
    assert (measured["status"], measured["error"]["code"]) == ("failed", "input_damaged")
    refused = await site.user.get(f"/api/evaluations/{measured['id']}/predictions")
    assert (refused.status_code, refused.json()["code"]) == (409, "evaluation_not_ready")


@pytest.mark.parametrize("overrides", [{"generations": 0}], ids=["no-answers"])
async def test_a_model_with_another_models_signature_is_not_measured(
    site: Site, warm: WarmWork, principal_keys: Path
) -> None:
    (tuned,) = await site.queue(command_rows(4))
    genuine, forged = (tuned.model_copy(update={"model_id": new_id(), "name": name}) for name in ("good-v1", "bad-v1"))
    signer = ArtifactSigner(principal_keys / "service.json")
    signature = signer.sign(genuine.model_id, genuine.name, genuine.manifest_sha256)
    for model in (genuine, forged):
        await site.events.publish(model.model_copy(update={"signature": signature}))
    await site.handled()
    async with evaluator(site, work=warm):
        ended = {item["model"]["name"]: item for item in await site.ended()}
    assert ended["good-v1"]["status"] == "completed"
    assert (ended["bad-v1"]["status"], ended["bad-v1"]["error"]["code"]) == ("failed", "input_damaged")


@pytest.mark.parametrize(
    ("rows", "row_format", "code"),
    [
        ([{"prompt": "word " * 2000, "completion": "yes"}] * 3, "prompt/completion", "nothing_to_measure"),
        ([{"text": ""}] * 3, "text", "nothing_to_measure"),
        ([{"anything": "x"}], "preference", "row_format"),
    ],
    ids=["too-long", "empty", "other-format"],
)
async def test_rows_that_cannot_be_measured_are_the_users_to_mend(
    site: Site, warm: WarmWork, rows: Rows, row_format: str, code: str
) -> None:
    await site.queue(rows, row_format=row_format)
    async with evaluator(site, work=warm):
        evaluations = await site.ended()
    for item in evaluations:
        assert (item["status"], item["metrics"], item["rows"]) == ("failed", {}, None)
        assert (item["error"]["code"], item["error"]["blame"]) == (code, "user")


async def test_what_json_and_the_database_cannot_hold_does_not_hang_the_worker(site: Site, warm: WarmWork) -> None:
    long = [{"prompt": f"p{number}", "completion": "\U0001f600" * 20_000} for number in range(5)]
    await site.queue([{"prompt": "a\x00b", "completion": "yes"}, *command_rows(3)], long)
    async with evaluator(site, no_contact_s=5.0):
        ended = await site.ended()
    assert {item["status"] for item in ended} == {"completed"}


async def test_a_model_of_numbers_that_are_none_says_so(site: Site, warm: WarmWork, tmp_path: Path) -> None:
    weights = {name: tensor.fill_(float("nan")) for name, tensor in load_file(NANO / "model.safetensors").items()}
    broken = Path(shutil.copytree(NANO, tmp_path / "broken"))
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    await site.queue(command_rows(3), folder=broken)
    async with evaluator(site, work=warm):
        ended = await site.ended()
    assert {(item["error"]["code"], item["error"]["blame"]) for item in ended} == {("model_not_finite", "user")}
