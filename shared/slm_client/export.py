"""The platform's datasets, models and evaluations as plain files, in folders named by version.

    datasets/<version>/data.jsonl, metadata.json
    models/<version>/metadata.json         models/registry.json
    evaluations/<version>/evaluation.json

Everything comes from the public API; the platform stays the only truth, and an export may be repeated over itself.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slm_client.models import Dataset, Evaluation, Model
from slm_client.synchronous import SlmClient


def export_artifacts(client: SlmClient, folder: Path, *, on_written: Callable[[str], None] = lambda _: None) -> int:
    """Write everything below `folder`; returns the number of files. `on_written` is told each file's place."""
    written = 0

    def write(place: str, content: Any) -> None:
        nonlocal written
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
        written += 1
        on_written(place)

    datasets = {each.id: each for each in client.datasets.list_all() if each.status == "processed"}
    for dataset in datasets.values():
        place = f"datasets/{dataset.name}/data.jsonl"
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        client.datasets.download(dataset.id, folder / place, file_format="jsonl")
        written += 1
        on_written(place)
        write(f"datasets/{dataset.name}/metadata.json", dataset_metadata(dataset))
    entries = []
    for model in client.models.list_all(sort="created_at"):
        entries.append(model_metadata(model, datasets))
        write(f"models/{model.name}/metadata.json", entries[-1])
        if evaluations := list(client.evaluations.list_all(model_id=model.id, status="completed")):
            write(f"evaluations/{model.name}/evaluation.json", evaluation_record(model, evaluations))
    write("models/registry.json", {"models": entries})
    return written


def dataset_metadata(dataset: Dataset) -> dict[str, Any]:
    """What `metadata.json` says of a dataset; the hash is that of its canonical rows."""
    return {
        "dataset_version": dataset.name,
        "num_samples": dataset.rows,
        "dataset_hash": getattr(dataset, "canonical_sha256", None) or dataset.sha256,
        "config": {"usage": dataset.usage, "row_format": dataset.row_format, "mapping": dataset.mapping},
    }


def model_metadata(model: Model, datasets: dict[str, Dataset]) -> dict[str, Any]:
    """What `metadata.json` and the registry file say of a model; a base model has no training."""
    data = model.training_dataset
    known = datasets.get(data.id) if data else None
    return {
        "model_version": model.name,
        "base_model": model.base_model.name if model.base_model else None,
        "dataset_version": data.name if data else None,
        "training_config": model.config,
        "num_training_samples": known.rows if known else None,
        "manifest_sha256": model.manifest_sha256,
    }


def evaluation_record(model: Model, evaluations: list[Evaluation]) -> dict[str, Any]:
    """What `evaluation.json` says: the newest evaluation on the model's own set (else of all), and every other one."""
    own = model.evaluation_dataset
    newest = next((each for each in evaluations if own and each.dataset.id == own.id), evaluations[0])
    return _scores(newest) | {"model_version": model.name, "evaluations": [_scores(each) for each in evaluations]}


def _scores(evaluation: Evaluation) -> dict[str, Any]:
    metrics = dict(evaluation.metrics)
    latency = metrics.get("latency_ms_p50")
    metrics["latency_ms"] = None if latency is None else round(latency)
    for name in ("quality_score", "cost_per_1k_tokens"):
        metrics.setdefault(name, None)
    return {"dataset_version": evaluation.dataset.name, "evaluation_id": evaluation.id, "metrics": metrics}
