"""Merging the services' API descriptions."""

from typing import Any

from slm_gateway.domain.openapi import merge

INFO = {"title": "all", "version": "1"}


def document(path: str, schemas: dict[str, Any], *, operation: str = "get_one") -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{next(iter(schemas))}"}
    answer = {"200": {"content": {"application/json": {"schema": reference}}}}
    return {
        "openapi": "3.1.0",
        "paths": {path: {"get": {"operationId": operation, "responses": answer}}},
        "components": {"schemas": schemas},
    }


def merged(**documents: dict[str, Any]) -> dict[str, Any]:
    return merge(documents, info=INFO, is_public=lambda _service, path: "lease" not in path)


def schema_of(merged: dict[str, Any], path: str) -> str:
    content = merged["paths"][path]["get"]["responses"]["200"]["content"]
    return str(content["application/json"]["schema"]["$ref"]).rpartition("/")[2]


def test_same_names_with_different_meanings_keep_them_apart() -> None:
    result = merged(
        registry=document("/api/models", {"Item": {"type": "string"}}),
        training=document("/api/runs", {"Item": {"type": "integer"}}),
    )
    schemas = result["components"]["schemas"]
    assert schemas[schema_of(result, "/api/models")] == {"type": "string"}
    assert schemas[schema_of(result, "/api/runs")] == {"type": "integer"}


def test_what_is_the_same_everywhere_is_kept_once() -> None:
    problem = {"Problem": {"type": "object"}}
    result = merged(registry=document("/api/models", problem), training=document("/api/runs", problem))
    assert list(result["components"]["schemas"]) == ["Problem"]


def test_equal_components_that_refer_to_different_ones_are_kept_apart() -> None:
    page = {"type": "array", "items": {"$ref": "#/components/schemas/Item"}}
    result = merged(
        registry=document("/api/models", {"Page": page, "Item": {"type": "string"}}),
        training=document("/api/runs", {"Page": page, "Item": {"type": "integer"}}),
    )
    assert schema_of(result, "/api/models") != schema_of(result, "/api/runs")


def test_discriminators_follow_the_renaming() -> None:
    chosen = {"discriminator": {"propertyName": "kind", "mapping": {"a": "#/components/schemas/Item"}}}
    result = merged(
        registry=document("/api/models", {"Chosen": chosen, "Item": {"type": "string"}}),
        training=document("/api/runs", {"Item": {"type": "integer"}}),
    )
    name = schema_of(result, "/api/models")
    mapping = result["components"]["schemas"][name]["discriminator"]["mapping"]
    assert mapping == {"a": "#/components/schemas/registry_Item"}


def test_operations_are_unique() -> None:
    result = merged(
        registry=document("/api/models", {"A": {}}, operation="list_all"),
        training=document("/api/runs", {"B": {}}, operation="list_all"),
    )
    ids = [item["get"]["operationId"] for item in result["paths"].values()]
    assert ids == ["registry_list_all", "training_list_all"]


def test_what_is_not_public_leaves_no_trace() -> None:
    result = merged(training=document("/api/leases:claim", {"Lease": {}}))
    assert (result["paths"], result["components"]) == ({}, {})
