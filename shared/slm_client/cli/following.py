"""Waiting for work of the platform, with a progress bar per stage. Raises FailedJobError when the work fails."""

from slm_client.cli.failures import FailedJobError
from slm_client.cli.progress import Stage, Stages
from slm_client.cli.terminal import duration, errors, number
from slm_client.models import Dataset, Evaluation, Experiment, Problem
from slm_client.synchronous import SlmClient
from slm_client.synchronous.waiting import DAY_S


def follow_processing(client: SlmClient, stages: Stages, dataset: Dataset, *, title: str = "Processing") -> Dataset:
    """Wait until a dataset is processed, and return it."""
    stage = stages.stage(title)
    stage.show(dataset.name)
    processed = client.datasets.wait(dataset.id, timeout_s=DAY_S, on_change=lambda seen: stage.show(seen.name))
    if processed.status != "processed":
        raise FailedJobError(f"Dataset {processed.name}: {describe(processed.error)}", hint=_hint(processed.error))
    stage.done(f"{processed.name}, {processed.rows:,} rows, {processed.row_format}")
    return processed


def follow_experiment(client: SlmClient, stages: Stages, experiment_id: str) -> Experiment:
    """Wait for a trainer, then for the end of the training; after Ctrl-C, print how to watch it again."""
    try:
        return _follow_experiment(client, stages, experiment_id)
    except KeyboardInterrupt:
        errors.print(f"The training goes on; watch it again: slm experiments watch {experiment_id}", markup=False)
        raise


def _follow_experiment(client: SlmClient, stages: Stages, experiment_id: str) -> Experiment:
    waiting = stages.stage("Waiting for a trainer")
    seen = client.experiments.get(experiment_id)
    if seen.status == "queued":
        waiting.show("queued")
        seen = client.experiments.wait(experiment_id, until=lambda each: each.status != "queued")
    waiting.done("claimed" if seen.status != "cancelled" else "cancelled")
    training = stages.stage("Training")
    ended = client.experiments.wait(experiment_id, on_change=lambda each: _show_training(training, each))
    _raise_unless_completed(ended)
    training.done(training_note(ended))
    return ended


def _raise_unless_completed(ended: Experiment) -> None:
    if ended.status != "completed":
        raise FailedJobError(
            f"Experiment {ended.name or ended.id} {ended.status}: {describe(ended.error)}",
            hint=f"see `slm experiments log {ended.id}`",
        )


def follow_evaluation(client: SlmClient, stages: Stages, evaluation: Evaluation, *, title: str) -> Evaluation:
    """Wait until an evaluation is completed, and return it."""
    stage = stages.stage(title)

    def show(seen: Evaluation) -> None:
        stage.show(f"{seen.model.name} {seen.status}", completed=seen.progress, total=1 if seen.progress else None)

    ended = client.evaluations.wait(evaluation.id, on_change=show)
    if ended.status != "completed":
        raise FailedJobError(f"Evaluation of {ended.model.name}: {describe(ended.error)}", hint=_hint(ended.error))
    loss, exact = ended.metrics.get("loss"), ended.metrics.get("exact_match")
    told = [f"loss {number(loss)}" if loss is not None else "", f"exact match {exact:.1%}" if exact is not None else ""]
    stage.done(", ".join([ended.model.name, *filter(None, told)]))
    return ended


def training_note(experiment: Experiment) -> str:
    """The result of a training in one line."""
    losses = [("train loss", experiment.train_loss), ("eval loss", experiment.eval_loss)]
    told = [f"{name} {number(value)}" for name, value in losses if value is not None]
    return ", ".join([f"{experiment.steps} steps" if experiment.steps else "completed", *told])


def describe(problem: Problem | None) -> str:
    """A failure in one line: what it is, its code, and its line in the file."""
    if problem is None:
        return "no reason was given"
    place = f"line {problem.line}"
    is_told = problem.line is None or place in problem.message.lower()
    return f"{problem.message} [{problem.code}]" if is_told else f"{problem.message} ({place}) [{problem.code}]"


def _show_training(stage: Stage, experiment: Experiment) -> None:
    progress = experiment.progress
    if progress is None or not progress.step:
        stage.show(experiment.state or experiment.status)
        return
    told = [
        f"step {progress.step}/{progress.total_steps}" if progress.total_steps else f"step {progress.step}",
        f"loss {number(progress.loss)}" if progress.loss is not None else "",
        f"{progress.tokens_per_s:,.0f} tokens/s" if progress.tokens_per_s else "",
        f"{duration(progress.eta_s)} to go" if progress.eta_s is not None else "",
    ]
    stage.show(", ".join(filter(None, told)), completed=progress.step, total=progress.total_steps)


def _hint(problem: Problem | None) -> str | None:
    return problem.hint if problem else None
