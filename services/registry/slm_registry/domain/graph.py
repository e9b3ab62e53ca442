"""What a lineage is made of, and how it is drawn from what happened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Heading = Literal["up", "down"]
"""Against the edges, to what something was made from; or along them, to what came of it."""


@dataclass(frozen=True)
class LineageNode:
    """A dataset, run, experiment, attempt, model, evaluation or alias."""

    id: str
    type: str
    name: str


@dataclass(frozen=True)
class LineageEdge:
    """`source` led to `target`; `at` is when the registry learned of it."""

    source: str
    target: str
    relation: str
    at: datetime | None = None


@dataclass(frozen=True)
class Lineage:
    """Where a model comes from and what it scored, as a graph."""

    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]
    truncated: bool = False

    def mermaid(self) -> str:
        """The graph in Mermaid's flowchart language."""
        places = {node.id: f"n{index}" for index, node in enumerate(self.nodes)}
        lines = ["flowchart LR"]
        lines += [f'  {places[node.id]}["{node.type}<br>{_escaped(node.name)}"]' for node in self.nodes]
        lines += [f"  {places[edge.source]} -- {edge.relation} --> {places[edge.target]}" for edge in self.edges]
        return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return "".join(char if char.isalnum() or char in " -_./" else f"#{ord(char)};" for char in text)


CONTAINS = frozenset({"trains", "starts", "runs as", "makes", "is the base of"})
"""Relations along which the rows of a dataset go on into models and into the models made from those."""


@dataclass
class Drawing:
    """The nodes and edges that one fact adds, and the targets whose current edges of a relation it ends."""

    nodes: list[LineageNode] = field(default_factory=list)
    edges: list[LineageEdge] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)

    def node(self, identity: Any, kind: str, name: str | None) -> str:
        """Add a node; returns its id."""
        self.nodes.append(LineageNode(str(identity), kind, name or ""))
        return str(identity)

    def edge(self, source: str, relation: str, target: str) -> None:
        """Add an edge."""
        self.edges.append(LineageEdge(source, target, relation))


def draw(subject: str, body: Mapping[str, Any]) -> Drawing:
    """What a fact adds to the lineage; nothing for subjects that are not part of one."""
    drawing = Drawing()
    if (drawer := _DRAWERS.get(subject)) is not None:
        drawer(drawing, body)
    return drawing


def _draw_dataset(drawing: Drawing, body: Mapping[str, Any]) -> None:
    drawing.node(body["dataset_id"], "dataset", body["name"])


def _draw_run(drawing: Drawing, body: Mapping[str, Any]) -> None:
    run = drawing.node(body["run_id"], "run", body["name"])
    drawing.edge(drawing.node(body["training_dataset_id"], "dataset", None), "trains", run)
    drawing.edge(drawing.node(body["base_model_id"], "model", body["base_model_name"]), "starts", run)
    if body.get("evaluation_dataset_id"):
        drawing.edge(drawing.node(body["evaluation_dataset_id"], "dataset", None), "validates", run)
    drawing.edge(run, "runs as", drawing.node(body["experiment_id"], "experiment", body["name"]))


def _draw_attempt(drawing: Drawing, body: Mapping[str, Any]) -> None:
    experiment = drawing.node(body["experiment_id"], "experiment", None)
    drawing.edge(experiment, "tries", _attempt(drawing, body))


def _attempt(drawing: Drawing, body: Mapping[str, Any]) -> str:
    return drawing.node(f"{body['experiment_id']}:{body['attempt']}", "attempt", f"attempt {body['attempt']}")


def _draw_model(drawing: Drawing, body: Mapping[str, Any]) -> None:
    model = drawing.node(body["model_id"], "model", body["name"])
    base, data = body.get("base_model"), body.get("training_dataset")
    if base and data and body.get("run_id"):
        run = drawing.node(body["run_id"], "run", body.get("run_name"))
        experiment = drawing.node(body["experiment_id"], "experiment", body.get("run_name"))
        drawing.edge(drawing.node(data["id"], "dataset", data["name"]), "trains", run)
        drawing.edge(drawing.node(base["id"], "model", base["name"]), "starts", run)
        if held_out := body.get("evaluation_dataset"):
            drawing.edge(drawing.node(held_out["id"], "dataset", held_out["name"]), "validates", run)
        drawing.edge(run, "runs as", experiment)
        drawing.edge(experiment, "makes", model)
        if body.get("attempt"):
            attempt = _attempt(drawing, body)
            drawing.edge(experiment, "tries", attempt)
            drawing.edge(attempt, "writes", model)
    elif base:
        drawing.edge(drawing.node(base["id"], "model", base["name"]), "is the base of", model)


def _draw_evaluation(drawing: Drawing, body: Mapping[str, Any]) -> None:
    name = f"{body['model_name']} on {body['dataset_name']}"
    evaluation = drawing.node(body["evaluation_id"], "evaluation", name)
    drawing.edge(drawing.node(body["model_id"], "model", body["model_name"]), "is measured by", evaluation)
    drawing.edge(drawing.node(body["dataset_id"], "dataset", body["dataset_name"]), "measures", evaluation)


def _draw_alias(drawing: Drawing, body: Mapping[str, Any]) -> None:
    name = f"{body['family']}@{body['alias']}"
    alias = drawing.node(name, "alias", name)
    drawing.ended.append((alias, "is named"))
    if body.get("model_id"):
        drawing.edge(drawing.node(body["model_id"], "model", None), "is named", alias)


_DRAWERS = {
    "dataset.processed": _draw_dataset,
    "run.launched": _draw_run,
    "experiment.started": _draw_attempt,
    "model.registered": _draw_model,
    "evaluation.completed": _draw_evaluation,
    "alias.moved": _draw_alias,
}
