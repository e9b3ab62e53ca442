"""Requests about models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack
from urllib.parse import quote

from slm_client.calls.base import Call, JsonObject, Nothing, PageFilters, ProgressCallback, Upload, address_of, given
from slm_client.models import (
    Aliases,
    ContainingModels,
    Lineage,
    Model,
    ModelComparison,
    Page,
    PromotionCheck,
    Reproduction,
    Timeline,
    Usage,
    Verification,
)


class ModelFilters(PageFilters, total=False):
    """Which models to list."""

    kind: str | None
    family: str | None
    experiment_id: str | None
    base_model: str | None
    dataset: str | None
    tag: str | None
    alias: str | None
    latest: bool | None
    deleted: bool | None
    q: str | None


def page(**filters: Unpack[ModelFilters]) -> Call[Page[Model]]:
    """A page of models."""
    return Call("GET", "/api/models", Page[Model], params=given(**filters))


def get(reference: object) -> Call[Model]:
    """One model by id, `<family>-v<n>` or family."""
    return Call("GET", address_of("models", reference), Model)


def upload(
    path: Path,
    *,
    family: str,
    base_model: str | None,
    description: str | None,
    tags: Sequence[str],
    source: str | None,
    on_progress: ProgressCallback | None,
) -> Call[Model]:
    """Upload the tar file of an external model."""
    fields = given(family=family, base_model=base_model, description=description, tag=list(tags) or None, source=source)
    return Call("POST", "/api/models", Model, upload=Upload(path, "model.tar", fields, on_progress))


def edit(reference: object, changes: Mapping[str, Any], *, revision: int | None) -> Call[Model]:
    """Change description or tags, if the model still has this revision (None: any)."""
    match = "*" if revision is None else f'"{revision}"'
    return Call("PATCH", address_of("models", reference), Model, json=changes, headers={"If-Match": match})


def delete(reference: object) -> Call[Nothing]:
    """Delete a model that nothing refers to."""
    return Call("DELETE", address_of("models", reference), Nothing)


def compare(references: Sequence[object]) -> Call[ModelComparison]:
    """Compare two to ten models."""
    return Call("GET", "/api/models:compare", ModelComparison, params={"model": [str(each) for each in references]})


def usage(reference: object) -> Call[Usage]:
    """What a model was used for."""
    return Call("GET", address_of("models", reference, "/usage"), Usage)


def aliases(reference: object) -> Call[Aliases]:
    """The aliases of a model's family."""
    return Call("GET", address_of("models", reference, "/aliases"), Aliases)


def point_alias(reference: object, alias: str) -> Call[Aliases]:
    """Point an alias to a model."""
    return Call("PUT", address_of("models", reference, f"/aliases/{quote(alias, safe='')}"), Aliases)


def remove_alias(reference: object, alias: str) -> Call[Nothing]:
    """Remove an alias from a model."""
    return Call("DELETE", address_of("models", reference, f"/aliases/{quote(alias, safe='')}"), Nothing)


def card(reference: object) -> Call[JsonObject]:
    """The card of a model as JSON."""
    return Call("GET", address_of("models", reference, "/card"), JsonObject)


def card_markdown(reference: object) -> Call[str]:
    """The card as markdown."""
    return Call("GET", address_of("models", reference, "/card"), str, params={"format": "markdown"})


def card_html(reference: object) -> Call[str]:
    """The card as an HTML fragment."""
    return Call("GET", address_of("models", reference, "/card"), str, params={"format": "html"})


def lineage(reference: object, **query: str | int | None) -> Call[Lineage]:
    """The lineage of a model as a graph."""
    return Call("GET", address_of("models", reference, "/lineage"), Lineage, params=given(**query))


def lineage_text(reference: object, *, file_format: str, **query: str | int | None) -> Call[str]:
    """The lineage as a Mermaid flowchart or as OpenLineage events."""
    params = given(**query, format=file_format)
    return Call("GET", address_of("models", reference, "/lineage"), str, params=params)


def lineage_of(node: object, **query: str | int | None) -> Call[Lineage]:
    """The lineage around a node: any id, or the name of a dataset."""
    return Call("GET", "/api/models:lineage", Lineage, params=given(node=str(node), **query))


def containing(dataset: object, *, as_of: str | None) -> Call[ContainingModels]:
    """All models trained on a dataset version, directly or through their base model."""
    return Call("GET", "/api/models:containing", ContainingModels, params=given(dataset=str(dataset), as_of=as_of))


def timeline(reference: object, **query: int | None) -> Call[Timeline]:
    """What happened to a model."""
    return Call("GET", address_of("models", reference, "/timeline"), Timeline, params=given(**query))


def check_promotion(reference: object) -> Call[PromotionCheck]:
    """Whether a model may become champion."""
    return Call("GET", address_of("models", reference, "/promotion"), PromotionCheck)


def promote(reference: object, *, reason: str | None, force: bool) -> Call[PromotionCheck]:
    """Make a model the champion of its family."""
    body = given(reason=reason, force=force or None)
    return Call("POST", address_of("models", reference, ":promote"), PromotionCheck, json=body)


def roll_back(reference: object) -> Call[Model]:
    """Make the previous champion of a family its champion again."""
    return Call("POST", address_of("models", reference, ":rollback"), Model)


def verify(reference: object) -> Call[Verification]:
    """Check every file of a model against its manifest."""
    return Call("GET", address_of("models", reference, "/verification"), Verification)


def sign(reference: object) -> Call[Verification]:
    """Sign a model that was registered without a signature."""
    return Call("POST", address_of("models", reference, ":sign"), Verification)


def reproduce(reference: object) -> Call[Reproduction]:
    """Everything that is needed to reproduce a model."""
    return Call("GET", address_of("models", reference, "/reproduce"), Reproduction)


def download(reference: object, *, part: str | None = None) -> Call[Nothing]:
    """The files of a model in one archive."""
    return Call("GET", address_of("models", reference, "/download"), Nothing, params=given(part=part))


def download_file(reference: object, path: str) -> Call[Nothing]:
    """One file of a model."""
    return Call("GET", address_of("models", reference, f"/files/{quote(path)}"), Nothing)
