"""What a module names in `__all__` is there."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(path.parent for root in ("deploy", "services", "shared") for path in (ROOT / root).rglob("py.typed"))


def _name_of(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _names_what_it_exports(path: Path) -> bool:
    return any(
        isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "__all__" for to in node.targets)
        for node in ast.parse(path.read_text()).body
    )


MODULES = [
    _name_of(path, package)
    for package in PACKAGES
    for path in sorted(package.rglob("*.py"))
    if _names_what_it_exports(path)
]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_every_name_that_it_exports(module: str) -> None:
    found = importlib.import_module(module)
    assert [name for name in found.__all__ if not hasattr(found, name)] == []
