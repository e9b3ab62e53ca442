"""The tables of the platform's own things, the same wherever they appear."""

from collections.abc import Sequence
from typing import Any

from slm_client.models import Evaluation, Experiment
from slm_ui import formatting
from slm_ui.components import cells, scores
from slm_ui.components.view import draw

EXPERIMENT_COLUMNS = (
    cells.column("Experiment", sort="name"),
    cells.column("Status"),
    cells.column("Base model"),
    cells.column("Training data"),
    cells.column("Loss", sort="eval_loss", align="right"),
    cells.column("Created", sort="created_at"),
    cells.column("Completed", sort="completed_at"),
)


def experiments(items: Sequence[Experiment], *, key: str) -> None:
    """A short list of experiments."""
    columns = [column | {"sort": None} for column in EXPERIMENT_COLUMNS]
    draw(cells.table("Experiments", columns, [experiment_row(item) for item in items]), key=key)


def experiment_row(item: Experiment) -> dict[str, Any]:
    """One experiment."""
    return cells.row(
        item.id,
        cells.link(item.name or "unnamed", "experiment", id=item.id),
        experiment_status(item),
        cells.model(item.base_model),
        cells.dataset(item.training_dataset),
        formatting.number(final_loss(item)),
        cells.moment(item.created_at),
        cells.moment(item.completed_at),
        label=item.name,
    )


def final_loss(item: Experiment) -> float | None:
    """The latest known loss: on held-out rows if there are any, else in training."""
    if item.eval_loss is not None:
        return item.eval_loss
    if item.train_loss is not None:
        return item.train_loss
    return item.progress.loss if item.progress else None


def share_done(item: Experiment) -> float | None:
    """How much of a running training is done, from 0 to 1."""
    progress = item.progress
    if item.is_finished or progress is None or not progress.total_steps or progress.step is None:
        return None
    return progress.step / progress.total_steps


def experiment_status(item: Experiment) -> cells.Cell:
    """Its status, with a bar while it runs."""
    share = share_done(item)
    return cells.status(item.status, bar=share, sub=None if share is None else f"{share:.0%}")


EVALUATION_COLUMNS = (
    cells.column("Evaluation"),
    cells.column("Status", sort="status"),
    cells.column("Model", sort="model"),
    cells.column("Dataset", sort="dataset"),
    cells.column("Loss", sort="loss", align="right"),
    cells.column("Exact match", sort="exact_match", align="right"),
    cells.column("Created", sort="created_at"),
)


def evaluations(items: Sequence[Evaluation], *, key: str) -> None:
    """A short list of evaluations."""
    columns = [column | {"sort": None} for column in EVALUATION_COLUMNS]
    draw(cells.table("Evaluations", columns, [evaluation_row(item) for item in items]), key=key)


def evaluation_row(item: Evaluation) -> dict[str, Any]:
    """One evaluation."""
    is_running = not item.is_finished and item.progress is not None
    return cells.row(
        item.id,
        cells.short(item.id, "evaluation"),
        cells.status(item.status, bar=item.progress if is_running else None),
        cells.model(item.model),
        cells.dataset(item.dataset),
        formatting.number(item.metrics.get("loss")),
        scores.value_of("exact_match", item.metrics.get("exact_match")),
        cells.moment(item.created_at),
        label=f"{item.model.name} on {item.dataset.name}",
    )
