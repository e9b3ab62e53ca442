"""`slm models lineage | contains | timeline | promote | rollback | verify | sign | reproduce`."""

from pathlib import Path
from typing import Annotated

import typer

from slm_client.cli.models import Reference
from slm_client.cli.models import app as app
from slm_client.cli.options import Gateway, Json, Limit
from slm_client.cli.terminal import Columns, moment, output, print_json, print_sentence, print_table, print_text
from slm_client.models import (
    ContainingModels,
    Lineage,
    Model,
    PromotionCheck,
    Reproduction,
    Timeline,
    TimelineEntry,
    Verification,
)
from slm_client.synchronous import SlmClient

AsOf = Annotated[
    str | None, typer.Option("--as-of", metavar="TIME", help="The lineage as known at this time (RFC 3339).")
]

CONTAINING_COLUMNS: Columns[Model] = [
    ("NAME", lambda each: each.name),
    ("TRAINED ON", lambda each: each.training_dataset and each.training_dataset.name),
    ("BASE", lambda each: each.base_model and each.base_model.name),
    ("CREATED", lambda each: moment(each.created_at)),
    ("DELETED", lambda each: moment(each.deleted_at)),
]
TIMELINE_COLUMNS: Columns[TimelineEntry] = [
    ("WHEN", lambda each: moment(each.at)),
    ("WHAT", lambda each: each.type),
    ("BY", lambda each: each.data.get("by")),
    ("ON", lambda each: each.data.get("dataset_name") or each.data.get("alias")),
]


@app.command()
def lineage(
    model: Reference,
    direction: Annotated[
        str, typer.Option(help="up (what it was made from), down (what was made from it) or both.")
    ] = "up",
    depth: Annotated[int | None, typer.Option(min=1, help="Maximum number of steps.")] = None,
    as_of: AsOf = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid flowchart.")] = False,
    openlineage: Annotated[bool, typer.Option("--openlineage", help="Print OpenLineage events.")] = False,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Show what a model was made from and how it was measured, or what was made from it."""
    with SlmClient(gateway) as client:
        if mermaid or openlineage:
            file_format = "mermaid" if mermaid else "openlineage"
            print_text(client.models.lineage_text(model, file_format, direction=direction))
            return
        found = client.models.lineage(model, direction=direction, depth=depth, as_of=as_of)
    print_json(found) if json else _print_lineage(found)


@app.answering(lambda found: print_table(found.models, CONTAINING_COLUMNS))
def contains(
    client: SlmClient,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Id or name of a dataset version.")],
    as_of: AsOf = None,
) -> ContainingModels:
    """List all models trained on a dataset version, directly or through their base model."""
    return client.models.containing(dataset, as_of=as_of)


@app.answering(lambda found: print_table(found.items, TIMELINE_COLUMNS))
def timeline(client: SlmClient, model: Reference, limit: Limit = 50) -> Timeline:
    """Show what happened to a model, newest first."""
    return client.models.timeline(model, limit=limit)


@app.command()
def promote(
    model: Reference,
    check: Annotated[bool, typer.Option("--check", help="Only check whether the policy allows it.")] = False,
    reason: Annotated[str | None, typer.Option(help="Reason to record in the history.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Ignore the policy (administrators only).")] = False,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Make a model the champion of its family, if the promotion policy allows it."""
    with SlmClient(gateway) as client:
        if check:
            found = client.models.check_promotion(model)
        else:
            found = client.models.promote(model, reason=reason, force=force)
    print_json(found) if json else _print_promotion(found, promoted=not check)


def _print_promotion(found: PromotionCheck, *, promoted: bool) -> None:
    print_table(
        found.conditions,
        [
            ("CONDITION", lambda each: each.get("condition")),
            ("HOLDS", lambda each: "yes" if each.get("holds") else "no"),
            ("FOUND", lambda each: each.get("finding")),
        ],
    )
    verdict = "is champion" if promoted else "may become champion" if found.allowed else "may not become champion"
    print_sentence(f"{found.model} {verdict}.")


@app.command()
def rollback(model: Reference, gateway: Gateway = None) -> None:
    """Point champion of a model's family back to the previous model."""
    with SlmClient(gateway) as client:
        found = client.models.roll_back(model)
    print_sentence(f"{found.family}@champion points to {found.name} again.")


@app.answering(lambda model: print_sentence(f"{model.name} is registered."))
def register(
    client: SlmClient,
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Folder as written by save_pretrained, or a tar file of it.")
    ],
    family: Annotated[str, typer.Option(help="Model family; the model becomes its next version.")],
    base: Annotated[str | None, typer.Option(help="Base model, if this one is fine-tuned.")] = None,
    description: Annotated[str | None, typer.Option(help="Text that describes the model.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Tag; may be repeated.")] = None,
) -> Model:
    """Register an external model from its safetensors, configuration and tokenizer."""
    return client.models.register(path, family, base_model=base, description=description, tags=tag or ())


@app.command()
def verify(model: Reference, gateway: Gateway = None, json: Json = False) -> int:
    """Check every file of a model against its signed manifest; exit code 1 if one differs."""
    with SlmClient(gateway) as client:
        found = client.models.verify(model)
    return _print_verification(found, json=json)


@app.command()
def sign(model: Reference, gateway: Gateway = None, json: Json = False) -> int:
    """Verify and sign a model that was registered without a signature (administrators only)."""
    with SlmClient(gateway) as client:
        found = client.models.sign(model)
    return _print_verification(found, json=json)


def _print_verification(found: Verification, *, json: bool) -> int:
    """Print what was found, and return the exit code."""
    if json:
        print_json(found)
    else:
        for problem in found.problems:
            print_sentence(problem)
        signed = "signed" if found.signed else "not signed"
        output.print(f"{found.model}: {found.files} files, {signed}, {'intact' if found.intact else 'NOT intact'}.")
    return 0 if found.intact else 1


@app.answering(lambda found: print_text(found.config_yaml))
def reproduce(client: SlmClient, model: Reference) -> Reproduction:
    """Print the configuration that reproduces a model with `slm train`; --json adds hashes and versions."""
    return client.models.reproduce(model)


def _print_lineage(lineage: Lineage) -> None:
    """Print each edge of the graph as a sentence."""
    names = {node.id: f"{node.type} {node.name}" for node in lineage.nodes}
    print_table(
        lineage.edges,
        [
            ("FROM", lambda edge: names.get(edge.source, edge.source)),
            ("", lambda edge: edge.relation),
            ("TO", lambda edge: names.get(edge.target, edge.target)),
        ],
    )
