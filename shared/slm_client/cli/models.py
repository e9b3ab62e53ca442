"""`slm models …`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from slm_client.calls.base import UNSET
from slm_client.cli.commands import Commands
from slm_client.cli.options import Cursor, Gateway, Json, Limit
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
    print_text,
    size,
)
from slm_client.models import Aliases, AliasMove, ComparedFact, Model, Page, Usage, Use
from slm_client.synchronous import SlmClient

app = Commands(help="Inspect models, their cards and their lineage.", rich_markup_mode=None)

Reference = Annotated[str, typer.Argument(metavar="MODEL", help="Id, name, family or family@alias, e.g. commands-v1.")]


COLUMNS: Columns[Model] = [
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
MOVE_COLUMNS: Columns[AliasMove] = [
    ("WHEN", lambda each: moment(each.moved_at)),
    ("ALIAS", lambda each: each.alias),
    ("FROM", lambda each: each.previous),
    ("TO", lambda each: each.model),
    ("BY", lambda each: each.moved_by),
    ("WHY", lambda each: each.reason),
]
USE_COLUMNS: Columns[Use] = [
    ("USE", lambda each: each.kind),
    ("COUNT", lambda each: each.count),
    ("LAST", lambda each: moment(each.last_at)),
]


def _print_model(found: Model) -> None:
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


def _print_aliases(found: Aliases) -> None:
    print_facts([(f"{found.family}@{each.name}", each.model) for each in found.aliases])
    output.print()
    print_table(found.history, MOVE_COLUMNS)


@app.answering(lambda found: print_table(found.items, COLUMNS), "list")
def list_models(
    client: SlmClient,
    kind: Annotated[str | None, typer.Option(help="Only models of this kind: base or fine_tuned.")] = None,
    family: Annotated[str | None, typer.Option(help="Only models of this family.")] = None,
    base: Annotated[str | None, typer.Option(help="Only models trained from this model (id or name).")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only models trained or evaluated on this dataset.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only models with this tag.")] = None,
    alias: Annotated[str | None, typer.Option(help="Only models with this alias, e.g. champion.")] = None,
    latest: Annotated[
        bool | None, typer.Option("--latest/--not-latest", help="Only latest versions, or only older ones.")
    ] = None,
    sort: Annotated[str | None, typer.Option(help="A column, e.g. eval_loss; -size_bytes sorts descending.")] = None,
    q: Annotated[
        str | None, typer.Option("--search", "-q", help="Part of the name, or words of the description.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Model]:
    """List models, by default the newest first."""
    return client.models.list(
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


@app.answering(_print_model)
def show(client: SlmClient, model: Reference) -> Model:
    """Show one model version."""
    return client.models.get(model)


@app.answering(lambda model: print_sentence(model.name), "import")
def import_model(
    client: SlmClient,
    source: Annotated[
        str, typer.Argument(help="A folder, a tar file, or owner/name[@revision] on the Hugging Face hub.")
    ],
    family: Annotated[str | None, typer.Option(help="Model family (default: derived from the name).")] = None,
) -> Model:
    """Register an external base model; only its safetensors and text files are taken, never code."""
    return bring_model(client, source, family)


def bring_model(client: SlmClient, source: str, family: str | None = None) -> Model:
    """A base model from a folder, a tar file or the hub, registered if it is not yet."""
    with Stages() as stages:
        stage = stages.stage("Base model")
        sent = 0

        def show(count: int) -> None:
            nonlocal sent
            sent += count
            stage.show(f"{size(sent)} sent")

        model = client.models.bring(source, family, on_progress=show)
        stage.done(model.name)
    return model


@app.answering(lambda model: print_sentence(f"{model.name} is now revision {model.revision}."))
def edit(
    client: SlmClient,
    model: Reference,
    description: Annotated[str | None, typer.Option(help="New description; an empty text removes it.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="New tag, in place of all tags; may be repeated.")] = None,
    no_tags: Annotated[bool, typer.Option("--no-tags", help="Remove all tags.")] = False,
) -> Model:
    """Change the description or the tags of a model."""
    tags = [] if no_tags else tag
    found = client.models.get(model)
    return client.models.edit(
        found.id,
        revision=found.revision,
        description=UNSET if description is None else description or None,
        tags=UNSET if tags is None else tags,
    )


@app.command()
def delete(model: Reference, gateway: Gateway = None) -> None:
    """Delete a model version that nothing refers to, with its files; its lineage stays."""
    with SlmClient(gateway) as client:
        found = client.models.get(model)
        client.models.delete(found.id)
    print_sentence(f"{found.name} is deleted.")


@app.command()
def compare(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Two to ten models.")],
    every: Annotated[bool, typer.Option("--all", help="Also show what is equal in all of them.")] = False,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Compare models: facts, configuration and metrics."""
    with SlmClient(gateway) as client:
        found = client.models.compare(*models)
    rows = [row for row in [*found.facts, *found.configuration, *found.metrics] if every or not row.same]
    columns: Columns[ComparedFact] = [
        ("", lambda row: row.name),
        *[(model.name, _value_at(index)) for index, model in enumerate(found.models)],
    ]
    print_json(found) if json else print_table(rows, columns)


def _value_at(index: int) -> Callable[[ComparedFact], object]:
    return lambda row: number(row.values[index], 6) if isinstance(row.values[index], float) else row.values[index]


@app.answering(_print_aliases)
def aliases(client: SlmClient, model: Reference) -> Aliases:
    """Show the aliases of a model's family, and how they moved."""
    return client.models.aliases(model)


@app.command()
def alias(
    model: Reference,
    name: Annotated[str, typer.Argument(metavar="ALIAS", help="Name of the alias, e.g. staging.")],
    remove: Annotated[bool, typer.Option("--remove", help="Remove the alias instead.")] = False,
    gateway: Gateway = None,
) -> None:
    """Point an alias of the model's family to the model."""
    with SlmClient(gateway) as client:
        found = client.models.get(model)
        if remove:
            client.models.remove_alias(found.id, name)
        else:
            client.models.point_alias(found.id, name)
    told = "is removed" if remove else f"points to {found.name}"
    print_sentence(f"{found.family}@{name} {told}.")


@app.answering(lambda found: print_table(found.uses, USE_COLUMNS))
def usage(client: SlmClient, model: Reference) -> Usage:
    """Show what a model was used for."""
    return client.models.usage(model)


@app.command()
def card(model: Reference, gateway: Gateway = None, json: Json = False) -> None:
    """Print the model card: markdown, or its data with --json."""
    with SlmClient(gateway) as client:
        if json:
            print_json(client.models.card(model))
        else:
            print_text(client.models.card_markdown(model))


@app.answering(lambda saved: print_sentence(saved["path"]))
def download(
    client: SlmClient,
    model: Reference,
    to: Annotated[Path | None, typer.Option("--to", "-o", help="File to write.")] = None,
    part: Annotated[str, typer.Option(help="Which files: all, merged (no LoRA adapter) or adapter.")] = "all",
) -> dict[str, object]:
    """Save the files of a model as one tar archive; transformers loads the unpacked folder."""
    with Stages() as stages:
        found = client.models.get(model)
        target = to or Path(f"{found.name}.tar" if part == "all" else f"{found.name}-{part}.tar")
        total = found.size_bytes or 1
        stage = stages.stage("Download")
        written = client.models.download(
            found.id, target, part=part, on_progress=lambda count: stage.advance_bytes(count, total=total)
        )
        stage.done(f"{target}, {size(written)}")
    return {"path": str(target), "size_bytes": written}
