"""Datasets, models and evaluations as plain files."""

import asyncio
import json
from pathlib import Path
from typing import Any

from slm_client.cli.main import run
from tests.support.fake_platform import FakePlatform

DATASET = {
    "id": "d1", "name": "orders-v1", "status": "processed", "rows": 2, "sha256": "aa", "canonical_sha256": "bb",
    "usage": "training", "row_format": "prompt/completion",
}  # fmt: skip
BASE = {"id": "m0", "name": "nano-v1", "kind": "base", "manifest_sha256": "cc"}
TUNED = {
    "id": "m1", "name": "commands-v1", "kind": "fine_tuned", "base_model": {"id": "m0", "name": "nano-v1"},
    "training_dataset": {"id": "d1", "name": "orders-v1"}, "evaluation_dataset": {"id": "d2", "name": "held-v1"},
    "config": {"seed": 42}, "manifest_sha256": "dd",
}  # fmt: skip
SCORES = {
    "id": "e1", "model": {"id": "m1", "name": "commands-v1"}, "dataset": {"id": "d2", "name": "held-v1"},
    "status": "completed", "metrics": {"quality_score": 0.5, "latency_ms_p50": 12.4},
}  # fmt: skip


async def test_everything_is_written_by_version(platform: FakePlatform, tmp_path: Path) -> None:
    broken = {"id": "d9", "name": "broken-v1", "status": "error"}
    other = SCORES | {"id": "e2", "dataset": {"id": "d3", "name": "other-v1"}}
    platform.will_answer({"items": [DATASET], "next_cursor": "c"}, {"items": [broken], "next_cursor": None})
    platform.will_stream('{"prompt": "a"}\n{"prompt": "b"}\n', media_type="application/x-ndjson")
    platform.will_answer(
        {"items": [BASE, TUNED], "next_cursor": None},
        {"items": [], "next_cursor": None},
        {"items": [other, SCORES], "next_cursor": None},
    )
    arguments = ["export", "artifacts", str(tmp_path), "--gateway", platform.address]
    assert await asyncio.to_thread(run, arguments) == 0

    def read(place: str) -> Any:
        return json.loads((tmp_path / place).read_text())

    assert len((tmp_path / "datasets/orders-v1/data.jsonl").read_text().splitlines()) == 2
    dataset = read("datasets/orders-v1/metadata.json")
    assert (dataset["dataset_version"], dataset["num_samples"], dataset["dataset_hash"]) == ("orders-v1", 2, "bb")
    tuned = read("models/commands-v1/metadata.json")
    assert tuned == {
        "model_version": "commands-v1", "base_model": "nano-v1", "dataset_version": "orders-v1",
        "training_config": {"seed": 42}, "num_training_samples": 2, "manifest_sha256": "dd",
    }  # fmt: skip
    assert read("models/registry.json") == {"models": [read("models/nano-v1/metadata.json"), tuned]}
    scores = read("evaluations/commands-v1/evaluation.json")
    assert (scores["model_version"], scores["dataset_version"]) == ("commands-v1", "held-v1")
    assert scores["metrics"] == {
        "quality_score": 0.5, "latency_ms": 12, "latency_ms_p50": 12.4, "cost_per_1k_tokens": None,
    }  # fmt: skip
    assert [each["dataset_version"] for each in scores["evaluations"]] == ["other-v1", "held-v1"]
    assert {path.name for path in (tmp_path / "evaluations").iterdir()} == {"commands-v1"}
