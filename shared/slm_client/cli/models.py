"""`slm models …`."""

from pathlib import Path
from typing import Annotated

import typer

from slm_client.cli.options import Cursor, Gateway, Json, Limit
from slm_client.cli.progress import Stages
from slm_client.cli.terminal import (
    moment,
    number,
    output,
    print_facts,
    print_json,
    print_table,
    print_text,
    size,
)
from slm_client.models import Lineage
from slm_client.synchronous import SlmClient

app = typer.Typer(help="Look at models, their cards and where they come from.", rich_markup_mode=None)

Reference = Annotated[str, typer.Argument(metavar="MODEL", help="Id, name such as commands-v1, or family.")]


@app.command("list")
def list_models(
    kind: Annotated[str | None, typer.Option(help="Only base or fine_tuned ones.")] = None,
    family: Annotated[str | None, typer.Option(help="Only those of this family.")] = None,
    q: Annotated[str | None, typer.Option("--search", "-q", help="Only those whose name contains this.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """List models, newest first."""
    with SlmClient(gateway) as client:
        page = client.models.list(kind=kind, family=family, q=q, limit=limit, cursor=cursor)
    if json:
        print_json(page)
        return
    print_table(
        page.items,
        [
            ("NAME", lambda each: each.name),
            ("KIND", lambda each: each.kind),
            ("BASE", lambda each: each.base_model and each.base_model.name),
            ("DATASET", lambda each: each.training_dataset and each.training_dataset.name),
            ("PARAMETERS", lambda each: f"{each.parameter_count:,}" if each.parameter_count else None),
            ("TRAIN LOSS", lambda each: number(each.train_loss)),
            ("EVAL LOSS", lambda each: number(each.eval_loss)),
            ("CREATED", lambda each: moment(each.created_at)),
        ],
    )


@app.command()
def show(model: Reference, gateway: Gateway = None, json: Json = False) -> None:
    """Show one model version."""
    with SlmClient(gateway) as client:
        found = client.models.get(model)
    if json:
        print_json(found)
        return
    print_facts(
        [
            ("Name", found.name),
            ("Id", found.id),
            ("Kind", found.kind),
            ("Base model", found.base_model and found.base_model.name),
            ("Experiment", found.experiment_id),
            ("Training dataset", found.training_dataset and found.training_dataset.name),
            ("Evaluation dataset", found.evaluation_dataset and found.evaluation_dataset.name),
            ("Parameters", f"{found.parameter_count:,}" if found.parameter_count else None),
            ("Size", size(found.size_bytes)),
            ("Train loss", number(found.train_loss)),
            ("Eval loss", number(found.eval_loss)),
            ("Manifest SHA-256", found.manifest_sha256),
            ("Created", moment(found.created_at)),
        ]
    )


@app.command()
def card(model: Reference, gateway: Gateway = None, json: Json = False) -> None:
    """Print the model card: markdown, or its data with --json."""
    with SlmClient(gateway) as client:
        if json:
            print_json(client.models.card(model))
        else:
            print_text(client.models.card_markdown(model))


@app.command()
def lineage(model: Reference, gateway: Gateway = None, json: Json = False) -> None:
    """Show where a model comes from and what was measured of it."""
    with SlmClient(gateway) as client:
        found = client.models.lineage(model)
    if json:
        print_json(found)
    else:
        _print_lineage(found)


@app.command()
def download(
    model: Reference,
    to: Annotated[Path | None, typer.Option("--to", "-o", help="Where to save it.")] = None,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Save a model's files as one archive."""
    with SlmClient(gateway) as client, Stages() as stages:
        found = client.models.get(model)
        target = to or Path(f"{found.name}.tar")
        total = found.size_bytes or 1
        stage = stages.stage("Download")
        written = client.models.download(
            found.id, target, on_progress=lambda count: stage.advance_bytes(count, total=total)
        )
        stage.done(f"{target}, {size(written)}")
    if json:
        print_json({"path": str(target), "size_bytes": written})
    else:
        output.print(str(target), markup=False)


def _print_lineage(lineage: Lineage) -> None:
    """Print the graph as sentences: what led to what."""
    names = {node.id: f"{node.type} {node.name}" for node in lineage.nodes}
    print_table(
        lineage.edges,
        [
            ("FROM", lambda edge: names.get(edge.source, edge.source)),
            ("", lambda edge: edge.relation),
            ("TO", lambda edge: names.get(edge.target, edge.target)),
        ],
    )
