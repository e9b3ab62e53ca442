"""The model card as markdown, with the metadata that Hugging Face reads; facts only.

Format: https://huggingface.co/docs/hub/model-cards
"""

from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from markdown_it import MarkdownIt

from slm_registry.schemas import Card, DatasetFacts, ModelEvaluation
from slm_shared.metrics import METRICS

# Of the newest evaluations in the metadata; the tables list all.
MAX_RESULTS = 50

# Shown elsewhere on the card.
LEFT_OUT = frozenset({"method", "version_slm-platform"})


def render(card: Card) -> str:
    """The whole card."""
    parts = [
        _front_matter(card),
        f"# {card.model.name}\n",
        *(f"{text}\n" for text in (card.model.description, card.model.goal) if text),
        _identity(card),
        _training(card),
        _scores(card),
        _chain(card),
    ]
    return "\n".join(part for part in parts if part)


def _front_matter(card: Card) -> str:
    """What Hugging Face reads, written by its own library."""
    model = card.model
    facts: dict[str, Any] = {"base_model": model.base_model.name} if model.base_model else {}
    if card.training_dataset:
        facts["datasets"] = [card.training_dataset.name]
    newest = card.evaluations[-MAX_RESULTS:]
    if results := [each for evaluation in newest for each in _results(evaluation)]:
        facts |= {"model_name": model.name, "eval_results": results}
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["slm-platform", *([model.method] if model.method else []), *model.tags],
        **facts,
    )
    return f"---\n{data.to_yaml()}\n---\n"


def _results(evaluation: ModelEvaluation) -> list[EvalResult]:
    where: dict[str, Any] = {"dataset_name": evaluation.dataset_name, "dataset_type": evaluation.dataset_name}
    return [
        EvalResult(task_type="text-generation", metric_type=name, metric_value=value, **where)
        for name, value in sorted(evaluation.metrics.items())
    ]


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
        "Aliases": ", ".join(model.aliases) or None,
        "Parents": ", ".join(parent.name for parent in card.parents) or None,
        **_tokenizer(card),
    }
    details = {name.replace("_", " "): value for name, value in model.architecture.items() if value not in ([], None)}
    return "## Model\n\n" + _table(rows | details)


def _tokenizer(card: Card) -> dict[str, Any]:
    facts = card.tokenizer
    if facts is None:
        return {}
    template = f"`{facts.chat_template_sha256}`" if facts.chat_template_sha256 else None
    return {
        "Tokenizer": facts.kind,
        "Longest input": f"{facts.max_length:,} tokens" if facts.max_length else None,
        "Chat template": template or ("yes" if facts.has_chat_template else "none"),
    }


def _training(card: Card) -> str:
    model = card.model
    if model.experiment_id is None:
        return ""
    rows = {
        "Run": model.run_name,
        "Experiment": f"`{model.experiment_id}`",
        "Method": model.method,
        "Objective": card.objective,
        "Training data": _dataset(card.training_dataset),
        "Evaluation data": _dataset(card.evaluation_dataset),
        "Steps": model.steps,
        "Code": card.code_version,
        "Duration": f"{model.duration_s:.1f} s" if model.duration_s is not None else None,
        "Training loss": model.train_loss,
        "Evaluation loss": model.eval_loss,
    }
    settings = {name.replace("_", " "): value for name, value in sorted(model.config.items()) if name not in LEFT_OUT}
    versions = "\n### Libraries\n\n" + _table(card.versions) if card.versions else ""
    return "## Training\n\n" + _table(rows) + "\n### Configuration\n\n" + _table(settings) + versions


def _dataset(facts: DatasetFacts | None) -> str | None:
    if facts is None:
        return None
    return facts.name + (f", {facts.rows:,} rows" if facts.rows is not None else "")


def _scores(card: Card) -> str:
    sections = []
    for evaluation in card.evaluations:
        base = next((each for each in card.base_evaluations if _is_beside(each, evaluation)), None)
        head = f"### {evaluation.dataset_name}, {evaluation.rows:,} rows\n\n"
        names = f"| | {card.model.name} |" + (f" {base.model_name} |" if base else "")
        rule = "|---|---|" + ("---|" if base else "")
        lines = [_score_line(name, evaluation, base) for name in _metrics(evaluation)]
        sections.append(head + "\n".join([names, rule, *lines]) + "\n")
    return "## Evaluation\n\n" + "\n".join(sections) if sections else ""


def _is_beside(base: ModelEvaluation, evaluation: ModelEvaluation) -> bool:
    """Whether the base was measured on the same rows in the same metrics."""
    return base.dataset_id == evaluation.dataset_id and not base.metrics.keys().isdisjoint(evaluation.metrics)


def _metrics(evaluation: ModelEvaluation) -> list[str]:
    """The metrics that are shown: the platform's own, then those of benchmark suites (`<task>.<metric>`)."""
    own = [name for name in METRICS if name in evaluation.metrics]
    return own + sorted(name for name in evaluation.metrics if "." in name)


def _score_line(name: str, evaluation: ModelEvaluation, base: ModelEvaluation | None) -> str:
    line = f"| {METRICS[name].title if name in METRICS else name} | {evaluation.metrics[name]:.6g} |"
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
    drawing = f"```mermaid\n{card.lineage}```\n\n" if card.lineage else ""
    return f"## Lineage\n\n{drawing}" + "| What | Name | SHA-256 |\n|---|---|---|\n" + "\n".join(lines) + "\n"


def render_html(card: Card) -> str:
    """The card as an HTML fragment: the markdown behind its metadata, with tables; raw HTML in it stays text."""
    body = render(card).split("---\n", 2)[2]
    html: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(body)
    return html
