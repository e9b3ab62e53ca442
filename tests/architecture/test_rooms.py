"""What each room of a service may do, and how rooms may lean on each other."""

import ast
import sys
from collections.abc import Iterator

import pytest

from scripts import draw_packages
from tests.support.source import (
    ROOT,
    Function,
    body_lines,
    imported_names,
    module_of,
    package_of,
    public_functions,
    relative,
    service_files,
    source_files,
    tree_of,
)

VERBS = {"get", "post", "put", "patch", "delete"}
MAX_ENDPOINT_LINES = 10
MAX_SHARED_ROOMS = 15
MAX_WORKER_FLOORS = 6
# What a service may do with a parsed event; the rest it asks its service room for.
SUBSCRIBERS_MAY_IMPORT = ("service", "settings")
# Public functions of `service` and `domain` that take or return plain dictionaries, and why.
PLAIN_DICTIONARIES = {
    "slm_datasets.service.card.get_croissant": "a JSON-LD document in the vocabulary of Croissant",
    "slm_gateway.service.upstreams.Upstreams.ask": "passes on what another service answers",
    "slm_registry.domain.architecture_of": "reads config.json, which every architecture writes its own way",
    "slm_registry.domain.graph.draw": "draws the bodies of events as they were journalled",
    "slm_registry.domain.parameters_in": "reads the header of a safetensors file",
    "slm_registry.service.artifacts.Artifact.json": "any JSON file of a model",
    "slm_registry.service.folders.load_config": "reads config.json, which every architecture writes its own way",
    "slm_registry.service.folders.tensor_header": "reads the header of a safetensors file",
    "slm_registry.service.journal.note": "journals the bodies of events as they were published",
    "slm_registry.service.journal.note_once": "journals the bodies of events as they were published",
    "slm_training.domain.Capabilities.of": "reads what a worker of any version said of itself",
    "slm_training.domain.halved": "changes stored options, of which an older run may lack some",
    "slm_training.domain.lacks": "reads stored needs, of which a run names only some",
}


def endpoints() -> Iterator[tuple[str, Function]]:
    """Every function of an api room that a router's decorator makes an endpoint."""
    for path in service_files("api"):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, Function) and any(_is_route(each) for each in node.decorator_list):
                yield f"{relative(path)} {node.name}", node


def _is_route(decorator: ast.expr) -> bool:
    return (
        isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute) and decorator.func.attr in VERBS
    )


def test_an_endpoint_is_short() -> None:
    found = {name: body_lines(node) for name, node in endpoints()}
    assert len(found) > 50
    assert {name: lines for name, lines in found.items() if lines > MAX_ENDPOINT_LINES} == {}


def test_endpoints_ask_the_app_by_type() -> None:
    wrong = [
        relative(path)
        for path in source_files()
        if path.name != "provided.py"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node).endswith("app.state")
    ]
    assert wrong == []


def test_api_rooms_import_no_store() -> None:
    wrong = [
        f"{relative(path)} imports {name}"
        for path in service_files("api")
        for name in imported_names(path)
        if ".store" in name
    ]
    assert wrong == []


def test_subscribers_call_only_the_service_room() -> None:
    wrong = [
        f"{relative(path)} imports {name}"
        for path in service_files("subscribers")
        for name in imported_names(path)
        if name.startswith(f"{package_of(path)}.") and name.split(".")[1] not in SUBSCRIBERS_MAY_IMPORT
    ]
    assert wrong == []


def test_use_cases_and_rules_have_typed_signatures() -> None:
    plain = {
        f"{module_of(path)}.{name}"
        for room in ("service", "domain")
        for path in service_files(room)
        for name, function in public_functions(path)
        if any("[str, Any]" in ast.unparse(each) for each in _annotations(function))
    }
    assert plain - PLAIN_DICTIONARIES.keys() == set(), "give these a type of their own"
    assert PLAIN_DICTIONARIES.keys() - plain == set(), "these are typed by now: take them off the list"


def _annotations(function: Function) -> Iterator[ast.expr]:
    arguments = function.args
    for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        if each.annotation is not None:
            yield each.annotation
    if function.returns is not None:
        yield function.returns


def test_no_package_or_room_imports_itself_through_others() -> None:
    assert draw_packages.circles(draw_packages.package_graph(ROOT)) == []


def test_the_shared_package_has_few_rooms() -> None:
    graph = draw_packages.package_graph(ROOT)
    rooms = [node for node in graph if node.startswith("slm_shared.")]
    assert 5 < len(rooms) <= MAX_SHARED_ROOMS


def test_the_picture_of_the_packages_is_the_present_one() -> None:
    document = ROOT / "docs" / "architecture.md"
    picture = draw_packages.drawing(draw_packages.package_graph(ROOT))
    again = "run: python scripts/draw_packages.py --write docs/architecture.md"
    assert draw_packages.written(document.read_text(), picture) == document.read_text(), again


@pytest.mark.parametrize("package", ["slm_training.worker", "slm_evaluation.worker"])
def test_a_worker_has_few_floors(package: str) -> None:
    """A floor is what imports only floors below; a worker with many is hard to read from either end."""
    known = draw_packages.modules(ROOT)
    graph = {
        module: {each for each in draw_packages.imports(path, known) if each.startswith(f"{package}.")} - {module}
        for module, path in known.items()
        if module.startswith(f"{package}.")
    }
    floors: dict[str, int] = {}

    def floor_of(module: str) -> int:
        if module not in floors:
            floors[module] = 1 + max((floor_of(each) for each in graph[module]), default=0)
        return floors[module]

    sys.setrecursionlimit(10_000)
    assert draw_packages.circles(graph) == []
    assert max(map(floor_of, graph)) <= MAX_WORKER_FLOORS
