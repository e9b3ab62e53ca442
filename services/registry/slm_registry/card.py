"""The model card as markdown, with the metadata that Hugging Face reads; facts only.

Format: https://huggingface.co/docs/hub/model-cards
"""

import json
from typing import Any

from slm_registry.schemas import Card, DatasetFacts, ModelEvaluation

METRIC_NAMES = {
    "loss": "Loss",
    "perplexity": "Perplexity",
    "token_accuracy": "Token accuracy",
    "exact_match": "Exact match",
    "latency_ms_p50": "Latency p50 (ms)",
    "latency_ms_p95": "Latency p95 (ms)",
    "tokens_per_s": "Tokens per second",
}


def render(card: Card) -> str:
    """The whole card."""
    parts = [
        _front_matter(card),
        f"# {card.model.name}\n",
        *([f"{card.model.goal}\n"] if card.model.goal else []),
        _identity(card),
        _training(card),
        _scores(card),
        _chain(card),
    ]
    return "\n".join(part for part in parts if part)


def _front_matter(card: Card) -> str:
    model = card.model
    facts: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["slm-platform", *([model.method] if model.method else [])],
    }
    if model.base_model:
        facts["base_model"] = model.base_model.name
    if card.training_dataset:
        facts["datasets"] = [card.training_dataset.name]
    if card.evaluations:
        facts["model-index"] = [{"name": model.name, "results": [_result(each) for each in card.evaluations]}]
    lines = "\n".join(f"{key}: {_yaml(value)}" for key, value in facts.items())
    return f"---\n{lines}\n---\n"


def _yaml(value: Any) -> str:
    """JSON, which YAML contains, but for numbers such as 1e-05: without a point YAML 1.1 takes them for text."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_yaml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    if isinstance(value, float):
        mantissa, exponent, rest = repr(value).partition("e")
        return mantissa + ("" if "." in mantissa or not exponent else ".0") + exponent + rest
    return json.dumps(value, ensure_ascii=False)


def _result(evaluation: ModelEvaluation) -> dict[str, Any]:
    return {
        "task": {"type": "text-generation"},
        "dataset": {"name": evaluation.dataset_name, "type": evaluation.dataset_name},
        "metrics": [{"type": name, "value": value} for name, value in sorted(evaluation.metrics.items())],
    }


def _table(rows: dict[str, Any]) -> str:
    shown = {name: value for name, value in rows.items() if value is not None}
    lines = [f"| {name} | {_cell(value)} |" for name, value in shown.items()]
    return "| | |\n|---|---|\n" + "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return " ".join(str(value).replace("\\", "\\\\").replace("|", "\\|").split())


def _identity(card: Card) -> str:
    model = card.model
    rows = {
        "Id": f"`{model.id}`",
        "Family and version": f"{model.family}, {model.version}{' (latest)' if model.is_latest else ''}",
        "Kind": model.kind.replace("_", "-"),
        "Base model": model.base_model.name if model.base_model else None,
        "Parameters": f"{model.parameter_count:,}",
        "Size": f"{model.size_bytes:,} bytes",
        "Created": model.created_at.isoformat(timespec="seconds"),
    }
    details = {name.replace("_", " "): value for name, value in model.architecture.items() if value not in ([], None)}
    return "## Model\n\n" + _table(rows | details)


def _training(card: Card) -> str:
    model = card.model
    if model.experiment_id is None:
        return ""
    rows = {
        "Run": model.run_name,
        "Experiment": f"`{model.experiment_id}`",
        "Method": model.method,
        "Training data": _dataset(card.training_dataset),
        "Evaluation data": _dataset(card.evaluation_dataset),
        "Steps": model.steps,
        "Duration": f"{model.duration_s:.1f} s" if model.duration_s is not None else None,
        "Training loss": model.train_loss,
        "Evaluation loss": model.eval_loss,
    }
    settings = {name.replace("_", " "): value for name, value in sorted(model.config.items()) if name != "method"}
    return "## Training\n\n" + _table(rows) + "\n### Configuration\n\n" + _table(settings)


def _dataset(facts: DatasetFacts | None) -> str | None:
    if facts is None:
        return None
    return facts.name + (f", {facts.rows:,} rows" if facts.rows is not None else "")


def _scores(card: Card) -> str:
    sections = []
    for evaluation in card.evaluations:
        base = next((each for each in card.base_evaluations if each.dataset_id == evaluation.dataset_id), None)
        head = f"### {evaluation.dataset_name}, {evaluation.rows:,} rows\n\n"
        names = f"| | {card.model.name} |" + (f" {base.model_name} |" if base else "")
        rule = "|---|---|" + ("---|" if base else "")
        lines = [_score_line(name, evaluation, base) for name in METRIC_NAMES if name in evaluation.metrics]
        sections.append(head + "\n".join([names, rule, *lines]) + "\n")
    return "## Evaluation\n\n" + "\n".join(sections) if sections else ""


def _score_line(name: str, evaluation: ModelEvaluation, base: ModelEvaluation | None) -> str:
    line = f"| {METRIC_NAMES[name]} | {evaluation.metrics[name]:.6g} |"
    if base is not None:
        value = base.metrics.get(name)
        line += f" {value:.6g} |" if value is not None else " |"
    return line


def _chain(card: Card) -> str:
    """From the rows to the files, each by its hash."""
    model = card.model
    steps = [
        ("Training rows", card.training_dataset.name, card.training_dataset.sha256) if card.training_dataset else None,
        ("Evaluation rows", card.evaluation_dataset.name, card.evaluation_dataset.sha256)
        if card.evaluation_dataset
        else None,
        ("Artifact manifest", model.manifest_key, model.manifest_sha256),
        *[("File", file.path, file.sha256) for file in card.files],
    ]
    lines = [f"| {what} | {name} | `{sha256}` |" for what, name, sha256 in filter(None, steps)]
    return "## Lineage\n\n| What | Name | SHA-256 |\n|---|---|---|\n" + "\n".join(lines) + "\n"
