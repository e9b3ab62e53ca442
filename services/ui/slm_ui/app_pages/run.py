"""One training run: exactly what was asked for."""

from slm_client.models import Run
from slm_ui import api, formatting
from slm_ui.components import cells, panels, story
from slm_ui.components.identity import wanted

FINISHED = {"succeeded", "failed", "cancelled", "dead_letter"}


def main() -> None:
    """The page."""
    run = api.client().runs.get(wanted("training run", "runs"))
    panels.head(run.name, text=run.goal, crumbs=[cells.link("Training runs", "runs")], badges=[cells.status(run.state)])
    if run.error:
        story.show_failure(run.error)
    panels.facts(_facts(run), key="facts")


def _facts(run: Run) -> list[tuple[str, cells.Cell]]:
    shown = "Show the experiment" if run.state in FINISHED else "Watch the experiment"
    return [
        ("Experiment", cells.link(shown, "experiment", id=run.experiment_id)),
        ("Base model", cells.model(run.base_model)),
        ("Training data", cells.dataset(run.training_dataset)),
        ("Evaluation data", cells.dataset(run.evaluation_dataset)),
        ("Model family", run.family),
        ("Owner", run.owner),
        ("Created", cells.moment(run.created_at)),
        *((formatting.words(name).capitalize(), formatting.as_text(value))
          for name, value in story.asked_for(run.config).items()),
        ("SHA-256 of the training rows", cells.short(run.training_dataset.sha256 if run.training_dataset else None)),
        ("Id", cells.mono(run.id)),
        ("Description", cells.long(run.description)),
    ]  # fmt: skip


main()
