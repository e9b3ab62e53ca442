"""The rules of the house that a machine can check."""

import ast
import sys

import pytest

from tests.support.source import (
    ROOT,
    SERVICES,
    Function,
    called_names,
    imported_modules,
    package_of,
    relative,
    source_files,
    tree_of,
)

# What integrators consume with is what the services consume with: a second catalogue or loop would differ one day.
EVENT_KIT = "shared/slm_client/events.py"
EVENT_KIT_IMPORTS = {
    "slm_shared.background",
    "slm_shared.delivery.handlers",
    "slm_shared.delivery.pulling",
    "slm_shared.events.catalogue",
    "slm_shared.events.topology",
}
FORBIDDEN_NAMES = {"utils", "helpers", "common", "util", "helper", "misc"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
TORCH_SIDE = {"torch", "transformers", "trl", "peft", "accelerate", "tokenizers", "safetensors"}
# Facts about metrics that the rules of several services need: as pure as a domain, so domains may import it.
PURE = {"slm_shared.metrics"}
SUPPORT = ROOT / "tests" / "support"
# Alembic's operations are one long list of columns by nature.
GENERATED = "migrations/versions"


def test_there_is_something_to_check() -> None:
    assert {package_of(path) for path in source_files()} >= {f"slm_{service}" for service in SERVICES}


def test_services_import_only_the_shared_code_and_themselves() -> None:
    wrong = [
        f"{relative(path)} imports {module}"
        for path in source_files()
        if package_of(path).removeprefix("slm_") in SERVICES
        for module in imported_modules(path)
        if module.startswith("slm_") and module.split(".")[0] not in {"slm_shared", "slm_ml", package_of(path)}
    ]
    assert wrong == []


def test_only_workers_and_slm_ml_import_the_torch_side() -> None:
    wrong = [
        f"{relative(path)} imports {module}"
        for path in source_files()
        if package_of(path) != "slm_ml" and not {"child", "worker"} & set(path.parts)
        for module in imported_modules(path)
        if module.split(".")[0] in TORCH_SIDE | {"slm_ml"}
    ]
    assert wrong == []


def test_shared_code_imports_no_service() -> None:
    owners = {"slm_shared": {"slm_shared"}, "slm_client": {"slm_client"}, "slm_ml": {"slm_ml"}}
    wrong = [
        f"{relative(path)} imports {module}"
        for path in source_files()
        if package_of(path) in owners
        for module in imported_modules(path)
        if module.startswith("slm_") and module.split(".")[0] not in owners[package_of(path)]
        if relative(path) != EVENT_KIT or module not in EVENT_KIT_IMPORTS
    ]
    assert wrong == []


def test_the_console_imports_only_the_client_and_itself() -> None:
    wrong = [
        f"{relative(path)} imports {module}"
        for path in source_files()
        if package_of(path) == "slm_ui"
        for module in imported_modules(path)
        if module.startswith("slm_") and module.split(".")[0] not in {"slm_client", "slm_ui"}
    ]
    assert wrong == []


def test_domain_imports_only_the_standard_library() -> None:
    domains = [path for path in source_files() if path.name == "domain.py" or path.parent.name == "domain"]
    assert domains
    wrong = [
        f"{relative(path)} imports {module}"
        for path in domains
        for module in imported_modules(path)
        if module.split(".")[0] not in sys.stdlib_module_names
        and module not in PURE
        and f"{package_of(path)}.domain" not in module
    ]
    assert wrong == []


def test_what_domains_share_imports_only_the_standard_library() -> None:
    paths = [ROOT / "shared" / f"{module.replace('.', '/')}.py" for module in PURE]
    assert {module for path in paths for module in imported_modules(path)} <= sys.stdlib_module_names


@pytest.mark.parametrize(("call", "home"), [("select", "store"), ("update", "store"), ("delete", "store")])
def test_services_query_only_in_their_store(call: str, home: str) -> None:
    wrong = [
        f"{relative(path)}:{line}"
        for path in source_files()
        if package_of(path).removeprefix("slm_") in SERVICES and path.stem != home and path.parent.name != home
        for name, line in called_names(path)
        if name == call
    ]
    assert wrong == []


def test_only_the_database_module_commits() -> None:
    wrong = [
        f"{relative(path)}:{line}"
        for path in source_files()
        if relative(path) != "shared/slm_shared/storage/database.py"
        for name, line in called_names(path)
        if name == ".commit"
    ]
    assert wrong == []


def test_nothing_waits_in_a_way_that_loses_cancellations() -> None:
    """`asyncio.wait_for` of Python 3.11 takes a cancellation for the result when both come at once."""
    found = [
        f"{relative(path)}:{node.lineno}"
        for path in source_files()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "asyncio.wait_for"
    ]
    assert not found, f"use `async with asyncio.timeout(...)`: {found}"


def test_no_file_is_longer_than_the_wall() -> None:
    tests = [path for path in (ROOT / "tests").rglob("*.py")]
    long = {relative(path): len(path.read_text().splitlines()) for path in [*source_files(), *tests]}
    assert {path: lines for path, lines in long.items() if lines > MAX_FILE_LINES} == {}


def test_no_function_is_longer_than_the_wall() -> None:
    long = [
        f"{relative(path)}:{node.lineno} {node.name}"
        for path in source_files()
        if GENERATED not in relative(path)
        for node in ast.walk(tree_of(path))
        if isinstance(node, Function) and (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_no_endpoint_holds_a_session_while_it_asks_somebody_else() -> None:
    held = []
    for path in source_files():
        for node in ast.walk(tree_of(path)):
            if not isinstance(node, ast.AsyncFunctionDef):
                continue
            annotations = {ast.unparse(each.annotation) for each in node.args.args if each.annotation is not None}
            asks = annotations & {"Objects", "Reader", "Uploads"} or "state.objects" in ast.unparse(node)
            if asks and annotations & {"ReadSession", "WriteSession"}:
                held.append(f"{relative(path)}:{node.lineno} {node.name}")
    assert held == []


def test_no_drawer_for_leftovers() -> None:
    assert [relative(path) for path in source_files() if path.stem in FORBIDDEN_NAMES] == []


def test_public_things_have_docstrings() -> None:
    missing = []
    for path in source_files():
        if GENERATED in relative(path) or path.name == "env.py":
            continue
        tree = tree_of(path)
        if ast.get_docstring(tree) is None:
            missing.append(relative(path))
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if not node.name.startswith("_") and ast.get_docstring(node) is None:
                missing.append(f"{relative(path)}:{node.lineno} {node.name}")
    assert missing == []


def test_tests_never_sleep_or_patch_our_own_code() -> None:
    wrong = [
        f"{relative(path)}:{line}"
        for path in (ROOT / "tests").rglob("*.py")
        if SUPPORT not in path.parents  # a fault lasts for a while
        for name, line in called_names(path)
        if name in {".sleep", "sleep", ".patch", "patch", ".setattr"}
    ]
    assert wrong == []


def test_tests_are_no_packages() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []
