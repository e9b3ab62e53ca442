"""The lineage of a thing, drawn: what it was made of on the left, what came of it on the right."""

from slm_client.models import Lineage, LineageNode
from slm_ui.components import panels
from slm_ui.formatting import words
from slm_ui.navigation import href

ORDER = ("dataset", "base_model", "run", "experiment", "attempt", "model", "evaluation", "alias", "deployment")
PAGES = {"dataset", "run", "experiment", "model", "evaluation"}


def show(lineage: Lineage, *, current: str) -> None:
    """The graph around `current`, one column per kind."""
    bases = {edge.source for edge in lineage.edges if "base" in edge.relation}
    columns: dict[str, list[LineageNode]] = {}
    for node in lineage.nodes:
        is_base = node.type == "model" and node.id in bases and node.id != current
        columns.setdefault("base_model" if is_base else node.type, []).append(node)
    order = sorted(columns, key=lambda kind: ORDER.index(kind) if kind in ORDER else len(ORDER))
    panels.graph(
        [
            {"label": words(kind).capitalize(), "nodes": [_node(node, current) for node in columns[kind]]}
            for kind in order
        ],
        [{"source": edge.source, "target": edge.target, "relation": words(edge.relation)} for edge in lineage.edges],
        key="lineage",
    )


def _node(node: LineageNode, current: str) -> dict[str, object]:
    is_current = node.id == current
    address = href(node.type, id=node.id) if node.type in PAGES and not is_current else None
    return {"id": node.id, "text": node.name, "href": address, "current": is_current}
