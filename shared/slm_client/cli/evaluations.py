"""`slm evaluations …`."""

from pathlib import Path
from typing import Annotated

import typer

from slm_client.cli.commands import Commands
from slm_client.cli.following import describe
from slm_client.cli.options import Cursor, Follow, Gateway, Json, Limit, Status
from slm_client.cli.progress import Stages
from slm_client.cli.terminal import (
    Columns,
    moment,
    number,
    output,
    print_facts,
    print_json,
    print_sentence,
    print_table,
)
from slm_client.models import ComparedMetric, Evaluation, EvaluationComparison, Page, Sample, Suite, Suites, SuiteTask
from slm_client.synchronous import SlmClient

app = Commands(help="Evaluate models and inspect their scores.", rich_markup_mode=None)


COLUMNS: Columns[Evaluation] = [
    ("ID", lambda each: each.id),
    ("MODEL", lambda each: each.model.name),
    ("DATASET", lambda each: each.dataset.name),
    ("STATUS", lambda each: each.status),
    ("LOSS", lambda each: number(each.metrics.get("loss"))),
    ("TOKEN ACC.", lambda each: number(each.metrics.get("token_accuracy"))),
    ("EXACT MATCH", lambda each: number(each.metrics.get("exact_match"))),
    ("COMPLETED", lambda each: moment(each.completed_at)),
    ("QUALITY", lambda each: number(each.metrics.get("quality_score"))),
]

SAMPLE_COLUMNS: Columns[Sample] = [
    ("ROW", lambda each: each.row),
    ("LOSS", lambda each: number(each.loss)),
    ("PROMPT", lambda each: each.prompt),
    ("EXPECTED", lambda each: each.expected),
    ("GENERATED", lambda each: each.generated),
    ("EXACT", lambda each: None if each.exact is None else "yes" if each.exact else "no"),
]

SUITE_COLUMNS: Columns[Suite] = [
    ("NAME", lambda each: each.name),
    ("TASKS", lambda each: ", ".join(each.tasks)),
    ("FEW-SHOT", lambda each: each.few_shot),
    ("ROWS", lambda each: each.limit or "all"),
    ("DESCRIPTION", lambda each: each.description),
]

Id = Annotated[str, typer.Argument(metavar="EVALUATION", help="Id of the evaluation.")]


def _print_comparison(found: EvaluationComparison) -> None:
    columns: Columns[ComparedMetric] = [
        ("METRIC", lambda each: each.name),
        (found.first.model.name, lambda each: number(each.first)),
        (found.second.model.name, lambda each: number(each.second)),
        ("DIFFERENCE", lambda each: number(each.difference)),
        ("95 % INTERVAL", lambda each: None if each.low is None else f"{number(each.low)} to {number(each.high)}"),
        ("", lambda each: each.verdict),
    ]
    print_table(found.metrics, columns)


def _title(metric: str) -> str:
    """The name of a metric in words; metrics of a suite's tasks keep their names."""
    return metric if "." in metric else metric.replace("_", " ").capitalize()


def _task(task: SuiteTask) -> str:
    return f"version {task.version}, {task.rows} rows, {task.few_shot}-shot"


def _print_evaluation(evaluation: Evaluation) -> None:
    report = evaluation.report
    print_facts(
        [
            ("Model", evaluation.model.name),
            ("Dataset", evaluation.dataset.name),
            ("Id", evaluation.id),
            ("Status", evaluation.status),
            ("Error", describe(evaluation.error) if evaluation.error else None),
            ("Rows", evaluation.rows),
            *[(_title(name), number(value)) for name, value in evaluation.metrics.items()],
            ("Suite", f"{report.suite} (lm-eval {report.lm_eval})" if report else None),
            *([(name, _task(task)) for name, task in report.tasks.items()] if report else []),
            ("Completed", moment(evaluation.completed_at)),
        ]
    )
    if evaluation.samples:
        output.print()
        print_table(evaluation.samples, SAMPLE_COLUMNS)


@app.answering(lambda found: print_table(found.items, COLUMNS), "list")
def list_evaluations(
    client: SlmClient,
    model: Annotated[str | None, typer.Option(help="Only evaluations of this model (id or name).")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only evaluations on this dataset (id or name).")] = None,
    experiment: Annotated[str | None, typer.Option(help="Only evaluations of this experiment (id).")] = None,
    status: Status = None,
    since: Annotated[str | None, typer.Option(help="Only those created since then, e.g. 2026-01-31T12:00:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Only those created before then.")] = None,
    sort: Annotated[str | None, typer.Option(help="A column, e.g. loss; -quality_score sorts descending.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Evaluation]:
    """List evaluations, by default the newest first."""
    return client.evaluations.list(
        model_id=client.models.get(model).id if model else None,
        dataset_id=client.datasets.get(dataset).id if dataset else None,
        experiment_id=experiment,
        status=status,
        since=since,
        until=until,
        sort=sort,
        limit=limit,
        cursor=cursor,
    )


@app.answering(_print_evaluation)
def show(
    client: SlmClient,
    evaluation: Id,
) -> Evaluation:
    """Show one evaluation with its metrics and sample generations."""
    return client.evaluations.get(evaluation)


@app.answering(_print_evaluation)
def run(
    client: SlmClient,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Id, name, family or family@alias.")],
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Id, name or family.")],
    metric: Annotated[list[str] | None, typer.Option(help="Measure only this metric; may be repeated.")] = None,
    generations: Annotated[int | None, typer.Option(help="Number of rows to generate answers for.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="Maximum length of an answer in tokens.")] = None,
    suite: Annotated[str | None, typer.Option(help="Run this benchmark suite instead of single metrics.")] = None,
    follow: Follow = False,
) -> Evaluation:
    """Evaluate a model on a dataset."""
    found = client.evaluations.create(
        model, dataset, metrics=metric, generations=generations, max_new_tokens=max_new_tokens, suite=suite
    )
    if follow:
        with Stages() as stages:
            stage = stages.stage("Evaluation")
            found = client.evaluations.wait(
                found.id, on_change=lambda each: stage.show(each.status, completed=each.progress, total=1.0)
            )
            stage.done(found.status)
    return found


@app.answering(lambda found: print_table(found.items, SUITE_COLUMNS))
def suites(client: SlmClient) -> Suites:
    """List the benchmark suites for `slm evaluations run --suite`."""
    return client.evaluations.suites()


@app.command()
def cancel(evaluation: Id, gateway: Gateway = None) -> None:
    """Cancel a queued or running evaluation."""
    with SlmClient(gateway) as client:
        found = client.evaluations.cancel(evaluation)
    print_sentence("The evaluation is cancelled." if found.is_finished else "The evaluation stops within seconds.")


@app.command()
def retry(evaluation: Id, gateway: Gateway = None) -> None:
    """Queue a failed or cancelled evaluation again."""
    with SlmClient(gateway) as client:
        client.evaluations.retry(evaluation)
    print_sentence("The evaluation is queued again.")


@app.answering(_print_comparison)
def compare(
    client: SlmClient,
    first: Annotated[str, typer.Argument(metavar="FIRST", help="Id of one evaluation.")],
    second: Annotated[str, typer.Argument(metavar="SECOND", help="Id of another evaluation of the same rows.")],
) -> EvaluationComparison:
    """Compare two evaluations of the same rows."""
    return client.evaluations.compare(first, second)


@app.command()
def predictions(
    evaluation: Id,
    sort: Annotated[str, typer.Option(help="row, loss or a metric; -loss sorts descending.")] = "-loss",
    offset: Annotated[int, typer.Option(min=0, help="Number of rows to skip.")] = 0,
    limit: Limit = 20,
    to: Annotated[Path | None, typer.Option("--to", "-o", help="Save all answers to this file as JSON lines.")] = None,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Show the answers of a model, by default the worst first, or save them all."""
    with SlmClient(gateway) as client:
        if to is not None:
            client.evaluations.download_predictions(evaluation, to)
            print_sentence(str(to))
            return
        page = client.evaluations.predictions(evaluation, sort=sort, offset=offset, limit=limit)
    print_json(page) if json else print_table(page.items, SAMPLE_COLUMNS)
