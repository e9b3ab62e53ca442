"""Requests about models."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from slm_client.calls.base import Call, JsonObject, Nothing, address_of, given
from slm_client.models import (
    Aliases,
    Lineage,
    Model,
    ModelComparison,
    Page,
    Usage,
)


def list_models(**filters: str | int | bool | None) -> Call[Page[Model]]:
    """A page of models."""
    return Call("GET", "/api/models", Page[Model], params=given(**filters))


def get_model(reference: object) -> Call[Model]:
    """One model by id, `<family>-v<n>` or family."""
    return Call("GET", address_of("models", reference), Model)


def edit_model(reference: object, changes: Mapping[str, Any], *, revision: int | None) -> Call[Model]:
    """Change description or tags, of the revision given or of whatever there is."""
    match = "*" if revision is None else f'"{revision}"'
    return Call("PATCH", address_of("models", reference), Model, json=changes, headers={"If-Match": match})


def delete_model(reference: object) -> Call[Nothing]:
    """Delete a model that nothing refers to."""
    return Call("DELETE", address_of("models", reference), Nothing)


def compare_models(references: Sequence[object]) -> Call[ModelComparison]:
    """Two to ten models side by side."""
    return Call("GET", "/api/models:compare", ModelComparison, params={"model": [str(each) for each in references]})


def model_usage(reference: object) -> Call[Usage]:
    """What a model was used for."""
    return Call("GET", address_of("models", reference, suffix="/usage"), Usage)


def model_aliases(reference: object) -> Call[Aliases]:
    """The aliases of a model's family."""
    return Call("GET", address_of("models", reference, suffix="/aliases"), Aliases)


def point_alias(reference: object, alias: str) -> Call[Aliases]:
    """Let an alias lead to a model."""
    return Call("PUT", address_of("models", reference, suffix=f"/aliases/{quote(alias, safe='')}"), Aliases)


def remove_alias(reference: object, alias: str) -> Call[Nothing]:
    """Take an alias away from a model."""
    return Call("DELETE", address_of("models", reference, suffix=f"/aliases/{quote(alias, safe='')}"), Nothing)


def model_card(reference: object) -> Call[JsonObject]:
    """What a model is, was made from and scores."""
    return Call("GET", address_of("models", reference, suffix="/card"), JsonObject)


def model_card_markdown(reference: object) -> Call[str]:
    """The card as markdown."""
    return Call("GET", address_of("models", reference, suffix="/card"), str, params={"format": "markdown"})


def model_lineage(reference: object) -> Call[Lineage]:
    """Where a model comes from and what was measured of it."""
    return Call("GET", address_of("models", reference, suffix="/lineage"), Lineage)


def download_model(reference: object) -> Call[Nothing]:
    """The files of a model in one archive."""
    return Call("GET", address_of("models", reference, suffix="/download"), Nothing)
