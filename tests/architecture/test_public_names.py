"""What a module names in `__all__` is there."""

import ast
import importlib
from pathlib import Path

import pytest

from tests.support.source import module_of, source_files, tree_of


def _names_what_it_exports(path: Path) -> bool:
    return any(
        isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "__all__" for to in node.targets)
        for node in tree_of(path).body
    )


MODULES = [module_of(path) for path in source_files() if _names_what_it_exports(path)]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_every_name_that_it_exports(module: str) -> None:
    found = importlib.import_module(module)
    assert [name for name in found.__all__ if not hasattr(found, name)] == []
