"""One API description out of several.

Components that are the same everywhere are kept once; those that share a name but differ carry their service's name in
front, so that no reference changes its meaning.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Document = dict[str, Any]
REFERENCE = "#/components/"
METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})


def merge(documents: Mapping[str, Document], *, info: Document, is_public: Callable[[str, str], bool]) -> Document:
    """Merge the descriptions of several services, by service name.

    `is_public(service, path)` says which paths are part of the public API. Components nobody refers to any more are
    left out.
    """
    ambiguous = _ambiguous_components(documents)
    ambiguous_operations = _ambiguous_operations(documents)
    paths: Document = {}
    components: dict[str, Document] = {}
    for service, document in sorted(documents.items()):
        renamed = _rename(document, service, ambiguous)
        for path, item in renamed.get("paths", {}).items():
            if is_public(service, path):
                paths[path] = _with_unique_operations(item, service, ambiguous_operations)
        for kind, entries in renamed.get("components", {}).items():
            for name, entry in entries.items():
                components.setdefault(kind, {})[_name(service, (kind, name), ambiguous)] = entry
    merged = {"openapi": _newest_version(documents), "info": info, "paths": dict(sorted(paths.items()))}
    return {**merged, "components": _reachable(components, paths)}


def _newest_version(documents: Mapping[str, Document]) -> str:
    return max((str(document.get("openapi", "3.1.0")) for document in documents.values()), default="3.1.0")


def _components(document: Document) -> Iterator[tuple[tuple[str, str], Any]]:
    for kind, entries in document.get("components", {}).items():
        for name, entry in entries.items():
            yield (kind, name), entry


def _ambiguous_components(documents: Mapping[str, Document]) -> set[tuple[str, str]]:
    """Components whose name means different things, and the shared ones that refer to such a one."""
    variants: dict[tuple[str, str], dict[str, Any]] = {}
    for document in documents.values():
        for key, entry in _components(document):
            variants.setdefault(key, {})[json.dumps(entry, sort_keys=True)] = entry
    ambiguous = {key for key, bodies in variants.items() if len(bodies) > 1}
    while True:
        tainted = {
            key
            for key, bodies in variants.items()
            if key not in ambiguous and any(set(_references(entry)) & ambiguous for entry in bodies.values())
        }
        if not tainted:
            return ambiguous
        ambiguous |= tainted


def _references(node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        target = node.get("$ref")
        if isinstance(target, str) and target.startswith(REFERENCE):
            kind, _, name = target.removeprefix(REFERENCE).partition("/")
            yield kind, name
        for inner in node.values():
            yield from _references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _references(inner)


def _name(service: str, key: tuple[str, str], ambiguous: set[tuple[str, str]]) -> str:
    return f"{service}_{key[1]}" if key in ambiguous else key[1]


def _rename(node: Any, service: str, ambiguous: set[tuple[str, str]]) -> Any:
    if isinstance(node, dict):
        return {name: _rename_value(name, inner, service, ambiguous) for name, inner in node.items()}
    if isinstance(node, list):
        return [_rename(inner, service, ambiguous) for inner in node]
    return node


def _rename_value(name: str, value: Any, service: str, ambiguous: set[tuple[str, str]]) -> Any:
    if name == "$ref" and isinstance(value, str) and value.startswith(REFERENCE):
        kind, _, target = value.removeprefix(REFERENCE).partition("/")
        return f"{REFERENCE}{kind}/{_name(service, (kind, target), ambiguous)}"
    if name == "mapping" and isinstance(value, dict):
        return {key: _rename_value("$ref", target, service, ambiguous) for key, target in value.items()}
    return _rename(value, service, ambiguous)


def _operations(item: Document) -> Iterator[tuple[str, Document]]:
    for method, operation in item.items():
        if method in METHODS and isinstance(operation, dict):
            yield method, operation


def _ambiguous_operations(documents: Mapping[str, Document]) -> set[str]:
    counted = Counter(
        operation.get("operationId")
        for document in documents.values()
        for item in document.get("paths", {}).values()
        for _, operation in _operations(item)
    )
    return {name for name, count in counted.items() if name and count > 1}


def _with_unique_operations(item: Document, service: str, ambiguous: set[str]) -> Document:
    changed = {
        method: {**operation, "operationId": f"{service}_{operation['operationId']}"}
        for method, operation in _operations(item)
        if operation.get("operationId") in ambiguous
    }
    return {**item, **changed}


def _reachable(components: Mapping[str, Document], paths: Document) -> dict[str, Document]:
    """The components that the paths refer to, directly or through each other."""
    found: dict[str, Document] = {}
    waiting = list(_references(paths))
    while waiting:
        kind, name = waiting.pop()
        entry = components.get(kind, {}).get(name)
        if entry is None or name in found.get(kind, {}):
            continue
        found.setdefault(kind, {})[name] = entry
        waiting.extend(_references(entry))
    return {kind: dict(sorted(entries.items())) for kind, entries in sorted(found.items())}
