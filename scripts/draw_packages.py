"""Draw which package imports which, as Mermaid text: `python scripts/draw_packages.py [CHECKOUT] [--write FILE]`.

Of `slm_shared` its rooms are drawn, each a folder or a module at its top; of everything else whole packages, with a
service's worker beside the service. An arrow that follows from others is left out. `--write` puts the drawing into FILE
between the lines `<!-- packages -->` and `<!-- /packages -->`.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = "slm_shared"
BEGIN, END = "<!-- packages -->", "<!-- /packages -->"

Graph = dict[str, set[str]]


def modules(checkout: Path) -> dict[str, Path]:
    """Every module of the checkout's packages by its dotted name."""
    packages = {
        path.parent for root in ("deploy", "services", "shared") for path in (checkout / root).rglob("py.typed")
    }
    return {
        ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for package in sorted(packages)
        for path in package.rglob("*.py")
    }


def imports(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules of ours that a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            while name and name not in known:
                name = name.rpartition(".")[0]
            if name:
                yield name


def node_of(module: str) -> str:
    """The node of the drawing that stands for a module."""
    parts = module.split(".")
    if parts[0] == SHARED and len(parts) > 1:
        return ".".join(parts[:2])
    return ".".join(parts[:2]) if parts[1:2] == ["worker"] else parts[0]


@cache
def package_graph(checkout: Path) -> Graph:
    """Which node imports which others."""
    known = modules(checkout)
    graph: Graph = {}
    for module, path in known.items():
        node = node_of(module)
        graph.setdefault(node, set()).update(node_of(each) for each in imports(path, known))
    graph.pop(SHARED, None)  # its docstring
    return {node: {each for each in found if each in graph and each != node} for node, found in sorted(graph.items())}


def reachable(graph: Graph, start: str) -> set[str]:
    """Every node that a path leads to from `start`."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for each in graph[waiting.pop()] - found:
            found.add(each)
            waiting.append(each)
    return found


def circles(graph: Graph) -> list[str]:
    """The nodes from which a path leads back to themselves."""
    return [node for node in graph if node in reachable(graph, node)]


def reduced(graph: Graph) -> Graph:
    """Without the arrows that follow from others (the transitive reduction of a graph without circles)."""
    return {
        node: {each for each in found if not any(each in reachable(graph, other) for other in found - {each})}
        for node, found in graph.items()
    }


def drawing(graph: Graph) -> str:
    """The graph as Mermaid text."""
    rooms = [node for node in graph if node.startswith(f"{SHARED}.")]
    lines = ["```mermaid", "flowchart TD", f"  subgraph {SHARED}"]
    lines += [f"    {_id(node)}[{node.partition('.')[2]}]" for node in rooms]
    lines += ["  end"]
    lines += [f"  {_id(node)}[{node}]" for node in graph if node not in rooms]
    shown = graph if circles(graph) else reduced(graph)
    lines += [f"  {_id(node)} --> {_id(each)}" for node, found in shown.items() for each in sorted(found)]
    return "\n".join([*lines, "```"])


def _id(node: str) -> str:
    return node.replace(".", "_")


def written(text: str, picture: str) -> str:
    """A document with the drawing between its two marks. Raises ValueError for a document without them."""
    between = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not between.search(text):
        raise ValueError(f"the document lacks the lines {BEGIN} and {END}")
    return between.sub(lambda _: f"{BEGIN}\n{picture}\n{END}", text)


def main() -> None:
    """Print the drawing, or write it into a document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, nargs="?", default=ROOT)
    parser.add_argument("--write", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    picture = drawing(package_graph(arguments.checkout))
    if arguments.write is None:
        sys.stdout.write(picture + "\n")
    else:
        arguments.write.write_text(written(arguments.write.read_text(), picture))


if __name__ == "__main__":
    main()
