"""`slm evaluations …`."""

from typing import Annotated

import typer

from slm_client.cli.following import describe
from slm_client.cli.options import Cursor, Gateway, Json, Limit
from slm_client.cli.terminal import moment, number, output, print_facts, print_json, print_table
from slm_client.models import Evaluation
from slm_client.synchronous import SlmClient

app = typer.Typer(help="Look at what models score.", rich_markup_mode=None)


@app.command("list")
def list_evaluations(
    model: Annotated[str | None, typer.Option(help="Only those of this model (id or name).")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only those on this dataset (id or name).")] = None,
    status: Annotated[str | None, typer.Option(help="Only queued, running, completed or failed ones.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """List evaluations, newest first."""
    with SlmClient(gateway) as client:
        page = client.evaluations.list(
            model_id=client.models.get(model).id if model else None,
            dataset_id=client.datasets.get(dataset).id if dataset else None,
            status=status,
            limit=limit,
            cursor=cursor,
        )
    if json:
        print_json(page)
        return
    print_table(
        page.items,
        [
            ("ID", lambda each: each.id),
            ("MODEL", lambda each: each.model.name),
            ("DATASET", lambda each: each.dataset.name),
            ("STATUS", lambda each: each.status),
            ("LOSS", lambda each: number(each.metrics.get("loss"))),
            ("TOKEN ACC.", lambda each: number(each.metrics.get("token_accuracy"))),
            ("EXACT MATCH", lambda each: number(each.metrics.get("exact_match"))),
            ("COMPLETED", lambda each: moment(each.completed_at)),
        ],
    )


@app.command()
def show(
    evaluation: Annotated[str, typer.Argument(metavar="EVALUATION", help="Id of the evaluation.")],
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Show one evaluation with its numbers and sample generations."""
    with SlmClient(gateway) as client:
        found = client.evaluations.get(evaluation)
    print_json(found) if json else _print_evaluation(found)


def _print_evaluation(evaluation: Evaluation) -> None:
    print_facts(
        [
            ("Model", evaluation.model.name),
            ("Dataset", evaluation.dataset.name),
            ("Id", evaluation.id),
            ("Status", evaluation.status),
            ("Error", describe(evaluation.error) if evaluation.error else None),
            ("Rows", evaluation.rows),
            *[(name.replace("_", " ").capitalize(), number(value)) for name, value in evaluation.metrics.items()],
            ("Completed", moment(evaluation.completed_at)),
        ]
    )
    if evaluation.samples:
        output.print()
        print_table(
            evaluation.samples,
            [
                ("PROMPT", lambda each: each.prompt),
                ("EXPECTED", lambda each: each.expected),
                ("GENERATED", lambda each: each.generated),
                ("EXACT", lambda each: None if each.exact is None else "yes" if each.exact else "no"),
            ],
        )
