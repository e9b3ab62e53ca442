"""`slm models …`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from slm_client.calls.base import UNSET
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
from slm_client.models import ComparedFact, Model, Use
from slm_client.synchronous import SlmClient

app = typer.Typer(help="Look at models, their cards and where they come from.", rich_markup_mode=None)

Reference = Annotated[str, typer.Argument(metavar="MODEL", help="Id, name, family or family@alias, e.g. commands-v1.")]


COLUMNS: list[tuple[str, Callable[[Model], object]]] = [
    ("NAME", lambda each: each.name),
    ("ALIASES", lambda each: ", ".join(each.aliases)),
    ("KIND", lambda each: each.kind),
    ("BASE", lambda each: each.base_model and each.base_model.name),
    ("DATASET", lambda each: each.training_dataset and each.training_dataset.name),
    ("PARAMETERS", lambda each: f"{each.parameter_count:,}" if each.parameter_count else None),
    ("TRAIN LOSS", lambda each: number(each.train_loss)),
    ("EVAL LOSS", lambda each: number(each.eval_loss)),
    ("CREATED", lambda each: moment(each.created_at)),
]


@app.command("list")
def list_models(
    kind: Annotated[str | None, typer.Option(help="Only base or fine_tuned ones.")] = None,
    family: Annotated[str | None, typer.Option(help="Only those of this family.")] = None,
    base: Annotated[str | None, typer.Option(help="Only those trained from this model (id or name).")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only those trained or scored on this dataset.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only those with this tag.")] = None,
    alias: Annotated[str | None, typer.Option(help="Only those that such an alias leads to, e.g. champion.")] = None,
    latest: Annotated[bool | None, typer.Option("--latest/--not-latest", help="Only the newest, or not.")] = None,
    sort: Annotated[str | None, typer.Option(help="A column, e.g. eval_loss, or -size_bytes to descend.")] = None,
    q: Annotated[str | None, typer.Option("--search", "-q", help="Part of the name, or words said of it.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """List models, newest first."""
    with SlmClient(gateway) as client:
        page = client.models.list(
            kind=kind,
            family=family,
            base_model=base,
            dataset=dataset,
            tag=tag,
            alias=alias,
            latest=latest,
            sort=sort,
            q=q,
            limit=limit,
            cursor=cursor,
        )
    if json:
        print_json(page)
        return
    print_table(page.items, COLUMNS)


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
            ("Description", found.description),
            ("Tags", ", ".join(found.tags) or None),
            ("Aliases", ", ".join(found.aliases) or None),
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


@app.command("import")
def import_model(
    source: Annotated[str, typer.Argument(help="A folder, a tar file, or owner/name[@revision] of the hub.")],
    family: Annotated[str | None, typer.Option(help="Its family; made of its name if not given.")] = None,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Register a model that was made elsewhere: safetensors and text files, never code."""
    model = bring_model(source, family, gateway=gateway)
    if json:
        print_json(model)
    else:
        output.print(model.name, markup=False)


def bring_model(source: str, family: str | None = None, *, gateway: str | None) -> Model:
    """A base model from a folder, a tar file or the hub, registered if it is not yet."""
    with SlmClient(gateway) as client, Stages() as stages:
        stage = stages.stage("Base model")
        sent = 0

        def show(count: int) -> None:
            nonlocal sent
            sent += count
            stage.show(f"{size(sent)} sent")

        model = client.models.bring(source, family, on_progress=show)
        stage.done(model.name)
    return model


@app.command()
def edit(
    model: Reference,
    description: Annotated[str | None, typer.Option(help="What it is; an empty text takes it away.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Its tags from now on; may be repeated.")] = None,
    no_tags: Annotated[bool, typer.Option("--no-tags", help="Take every tag away.")] = False,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Change the description or the tags of a model."""
    tags = [] if no_tags else tag
    with SlmClient(gateway) as client:
        found = client.models.get(model)
        changed = client.models.edit(
            found.id,
            revision=found.revision,
            description=UNSET if description is None else description or None,
            tags=UNSET if tags is None else tags,
        )
    print_json(changed) if json else output.print(f"{changed.name} is now revision {changed.revision}.", markup=False)


@app.command()
def delete(model: Reference, gateway: Gateway = None) -> None:
    """Delete a model version that nothing refers to, and its files; its lineage stays."""
    with SlmClient(gateway) as client:
        found = client.models.get(model)
        client.models.delete(found.id)
    output.print(f"{found.name} is deleted.", markup=False)


@app.command()
def compare(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Two to ten models.")],
    every: Annotated[bool, typer.Option("--all", help="Also what is the same in all of them.")] = False,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Show models side by side: facts, configuration and metrics."""
    with SlmClient(gateway) as client:
        found = client.models.compare(*models)
    if json:
        print_json(found)
        return
    rows = [*found.facts, *found.configuration, *found.metrics]
    print_table(
        [row for row in rows if every or not row.same],
        [("", lambda row: row.name)] + [(model.name, _value_at(index)) for index, model in enumerate(found.models)],
    )


def _value_at(index: int) -> Callable[[ComparedFact], object]:
    return lambda row: number(row.values[index], 6) if isinstance(row.values[index], float) else row.values[index]


@app.command()
def aliases(model: Reference, gateway: Gateway = None, json: Json = False) -> None:
    """Show where the aliases of a model's family lead, and how they moved."""
    with SlmClient(gateway) as client:
        found = client.models.aliases(model)
    if json:
        print_json(found)
        return
    print_facts([(f"{found.family}@{each.name}", each.model) for each in found.aliases])
    output.print()
    print_table(
        found.history,
        [
            ("WHEN", lambda each: moment(each.moved_at)),
            ("ALIAS", lambda each: each.alias),
            ("FROM", lambda each: each.previous),
            ("TO", lambda each: each.model),
            ("BY", lambda each: each.moved_by),
            ("WHY", lambda each: each.reason),
        ],
    )


@app.command()
def alias(
    model: Reference,
    name: Annotated[str, typer.Argument(metavar="ALIAS", help="Such as staging.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take it away instead.")] = False,
    gateway: Gateway = None,
) -> None:
    """Let an alias of the model's family lead to it."""
    with SlmClient(gateway) as client:
        found = client.models.get(model)
        if remove:
            client.models.remove_alias(found.id, name)
        else:
            client.models.point_alias(found.id, name)
    target = "nowhere" if remove else f"to {found.name}"
    output.print(f"{found.family}@{name} leads {target}.", markup=False)


@app.command()
def usage(model: Reference, gateway: Gateway = None, json: Json = False) -> None:
    """Show what a model was used for."""
    with SlmClient(gateway) as client:
        found = client.models.usage(model)
    if json:
        print_json(found)
        return
    columns: list[tuple[str, Callable[[Use], object]]] = [
        ("USE", lambda each: each.kind),
        ("COUNT", lambda each: each.count),
        ("LAST", lambda each: moment(each.last_at)),
    ]
    print_table(found.uses, columns)


@app.command()
def card(model: Reference, gateway: Gateway = None, json: Json = False) -> None:
    """Print the model card: markdown, or its data with --json."""
    with SlmClient(gateway) as client:
        if json:
            print_json(client.models.card(model))
        else:
            print_text(client.models.card_markdown(model))


@app.command()
def download(
    model: Reference,
    to: Annotated[Path | None, typer.Option("--to", "-o", help="Where to save it.")] = None,
    part: Annotated[str, typer.Option(help="all, merged (no LoRA adapter), or adapter.")] = "all",
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Save a model's files as one archive, which unpacks to a folder that transformers loads."""
    with SlmClient(gateway) as client, Stages() as stages:
        found = client.models.get(model)
        target = to or Path(f"{found.name}.tar" if part == "all" else f"{found.name}-{part}.tar")
        total = found.size_bytes or 1
        stage = stages.stage("Download")
        written = client.models.download(
            found.id, target, part=part, on_progress=lambda count: stage.advance_bytes(count, total=total)
        )
        stage.done(f"{target}, {size(written)}")
    if json:
        print_json({"path": str(target), "size_bytes": written})
    else:
        output.print(str(target), markup=False)
