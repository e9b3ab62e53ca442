"""The lineage of a thing, drawn: what it was made of on the left, what came of it on the right."""

from collections.abc import Iterable, Mapping

from slm_client.models import Lineage, LineageEdge, LineageNode
from slm_ui.components import panels
from slm_ui.formatting import words
from slm_ui.navigation import href

PAGES = {"dataset", "run", "experiment", "model", "evaluation"}


def show(lineage: Lineage, *, current: str) -> None:
    """The graph around `current`; everything stands to the right of all it was made of."""
    layers = layers_of([node.id for node in lineage.nodes], lineage.edges)
    columns: dict[int, list[LineageNode]] = {}
    for node in lineage.nodes:
        columns.setdefault(layers[node.id], []).append(node)
    panels.graph(
        [
            {"label": _label(nodes), "nodes": [_node(node, current) for node in nodes]}
            for _, nodes in sorted(columns.items())
        ],
        [{"source": edge.source, "target": edge.target, "relation": words(edge.relation)} for edge in lineage.edges],
        key="lineage",
    )


def layers_of(nodes: Iterable[str], edges: Iterable[LineageEdge]) -> Mapping[str, int]:
    """The column of each node: one more than the last of its sources; those of a cycle stop at the number of nodes."""
    layers = dict.fromkeys(nodes, 0)
    known = [(edge.source, edge.target) for edge in edges if edge.source in layers and edge.target in layers]
    for _ in range(len(layers)):
        moved = False
        for source, target in known:
            if layers[target] <= layers[source] < len(layers):
                layers[target], moved = layers[source] + 1, True
        if not moved:
            break
    return layers


def _label(nodes: Iterable[LineageNode]) -> str:
    kinds = dict.fromkeys(words(node.type) for node in nodes)
    return ", ".join(kinds).capitalize()


def _node(node: LineageNode, current: str) -> dict[str, object]:
    is_current = node.id == current
    address = href(node.type, id=node.id) if node.type in PAGES and not is_current else None
    return {"id": node.id, "text": node.name, "href": address, "current": is_current}
