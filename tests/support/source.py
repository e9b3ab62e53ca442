"""The platform's own source, as the tests of its architecture read it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVICES = ("datasets", "evaluation", "gateway", "registry", "training")
PACKAGES = {path.parent for root in ("deploy", "services", "shared") for path in (ROOT / root).rglob("py.typed")}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def source_files() -> list[Path]:
    """Every module of every package, sorted."""
    return sorted(path for package in PACKAGES for path in package.rglob("*.py"))


def service_files(room: str) -> list[Path]:
    """The modules of one room (a file or a folder of that name) in every service."""
    folders = [ROOT / f"services/{service}/slm_{service}" for service in SERVICES]
    return sorted(path for each in folders for path in [*each.glob(f"{room}.py"), *(each / room).rglob("*.py")])


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file, parsed once."""
    return ast.parse(path.read_text())


def relative(path: Path) -> str:
    """The path below the root of the repository, with forward slashes."""
    return path.relative_to(ROOT).as_posix()


def package_of(path: Path) -> str:
    """The package that a module belongs to, e.g. `slm_training`."""
    return next(part for part in path.parts if part.startswith("slm_"))


def module_of(path: Path) -> str:
    """The dotted name of a module, e.g. `slm_training.service.launching`."""
    parts = path.with_suffix("").parts
    dotted = parts[parts.index(package_of(path)) :]
    return ".".join(dotted[:-1] if dotted[-1] == "__init__" else dotted)


def imported_modules(path: Path) -> Iterator[str]:
    """Every module that a file imports, also inside of functions; `from a import b` gives `a`."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def imported_names(path: Path) -> Iterator[str]:
    """Everything that a file imports with its full name; `from a import b` gives `a.b`."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def called_names(path: Path) -> Iterator[tuple[str, int]]:
    """What a file calls, a method with a point before it, and the line."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id, node.lineno
            elif isinstance(node.func, ast.Attribute):
                yield "." + node.func.attr, node.lineno


def public_functions(path: Path) -> Iterator[tuple[str, Function]]:
    """The public functions of a module and the public methods of its public classes, with their dotted names."""
    for node in tree_of(path).body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                if isinstance(method, Function) and not method.name.startswith("_"):
                    yield f"{node.name}.{method.name}", method


def body_lines(function: Function) -> int:
    """Lines of a function's body, without its docstring."""
    statements = function.body
    if isinstance(statements[0], ast.Expr) and isinstance(statements[0].value, ast.Constant):
        statements = statements[1:]
    if not statements:
        return 0
    return (statements[-1].end_lineno or 0) - statements[0].lineno + 1
