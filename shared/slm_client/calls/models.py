"""Requests about models."""

from slm_client.calls.base import Call, JsonObject, Nothing, address_of, given
from slm_client.models import (
    Lineage,
    Model,
    Page,
)


def list_models(**filters: str | int | None) -> Call[Page[Model]]:
    """A page of models."""
    return Call("GET", "/api/models", Page[Model], params=given(**filters))


def get_model(reference: object) -> Call[Model]:
    """One model by id, `<family>-v<n>` or family."""
    return Call("GET", address_of("models", reference), Model)


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
