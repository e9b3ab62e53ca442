"""The report at the end of `slm demo`."""

from dataclasses import dataclass
from typing import Any

from rich.table import Table

from slm_client.cli.terminal import cell, number, output, print_facts
from slm_client.models import Dataset, Evaluation, Experiment, Model, Sample

METRICS = (
    ("loss", "Loss (nats per token)", ".4f"),
    ("perplexity", "Perplexity", ",.2f"),
    ("token_accuracy", "Token accuracy", ".1%"),
    ("exact_match", "Exact match", ".1%"),
    ("latency_ms_p50", "Latency, median (ms)", ".1f"),
    ("tokens_per_s", "Tokens per second", ",.0f"),
)


@dataclass(frozen=True)
class DemoResult:
    """Everything the demo made."""

    address: str
    model: Model
    training: Dataset
    evaluation_dataset: Dataset
    experiment: Experiment
    tuned: Evaluation
    base: Evaluation | None

    def as_json(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "model": self.model,
            "training_dataset": self.training,
            "evaluation_dataset": self.evaluation_dataset,
            "experiment": self.experiment,
            "evaluation": self.tuned,
            "base_evaluation": self.base,
        }


def print_report(result: DemoResult) -> None:
    """Print the scores, one answer of both models, and commands to look further."""
    output.print()
    _print_origin(result)
    output.print()
    _print_scores(result)
    _print_answer(result)
    _print_where_to_look(result)


def _print_origin(result: DemoResult) -> None:
    model, training, evaluation, experiment = (
        result.model,
        result.training,
        result.evaluation_dataset,
        result.experiment,
    )
    print_facts(
        [
            ("Model", model.name),
            ("Base", model.base_model and model.base_model.name),
            ("Trained on", f"{training.name} ({training.rows:,} rows)"),
            ("Evaluated on", f"{evaluation.name} ({evaluation.rows:,} rows)"),
            ("Final losses", f"train {number(experiment.train_loss)}, eval {number(experiment.eval_loss) or '-'}"),
        ]
    )


def _print_scores(result: DemoResult) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("EVALUATION")
    table.add_column(result.base.model.name if result.base else "base", justify="right")
    table.add_column(result.model.name, justify="right")
    for name, title, form in METRICS:
        tuned = result.tuned.metrics.get(name)
        base = result.base.metrics.get(name) if result.base else None
        if tuned is not None or base is not None:
            table.add_row(title, _formatted(base, form), _formatted(tuned, form))
    output.print(table)


def _formatted(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _print_answer(result: DemoResult) -> None:
    pair = _telling_pair(result)
    if pair is None:
        return
    base, tuned = pair
    output.print("\nOne prompt, both models", style="bold")
    print_facts(
        [
            ("Prompt", tuned.prompt),
            ("Expected", tuned.expected),
            (result.base.model.name if result.base else "base", cell(base.generated).plain if base else None),
            (result.model.name, cell(tuned.generated).plain),
        ]
    )


def _telling_pair(result: DemoResult) -> tuple[Sample | None, Sample] | None:
    """The first prompt that only the tuned model answers exactly; else the first one both were asked."""
    by_prompt = {sample.prompt: sample for sample in result.base.samples} if result.base else {}
    pairs = [(by_prompt.get(sample.prompt), sample) for sample in result.tuned.samples]
    telling = [pair for pair in pairs if pair[1].exact and pair[0] is not None and not pair[0].exact]
    shared = [pair for pair in pairs if pair[0] is not None]
    return next(iter(telling or shared or pairs), None)


def _print_where_to_look(result: DemoResult) -> None:
    output.print("\nLook further", style="bold")
    for command in (
        f"slm models card {result.model.name}",
        f"slm models lineage {result.model.name}",
        f"slm experiments log {result.experiment.id}",
        f"slm evaluations show {result.tuned.id}",
        f"slm models download {result.model.name}",
    ):
        output.print(f"  {command}", markup=False)
    output.print(f"  {result.address}/api/docs", markup=False)
    output.print(f"  {result.address}/api/models/{result.model.name}", markup=False)
