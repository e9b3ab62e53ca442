"""Models and their lineage."""

from collections.abc import Sequence
from datetime import datetime

from slm_client.models.base import Answer, Reference


class Model(Answer):
    """One model version, `<family>-v<version>`; `kind` is `base` or `fine_tuned`."""

    id: str
    name: str
    family: str = ""
    version: int = 0
    is_latest: bool | None = None
    kind: str = ""
    base_model: Reference | None = None
    experiment_id: str | None = None
    run_id: str | None = None
    training_dataset: Reference | None = None
    evaluation_dataset: Reference | None = None
    manifest_sha256: str | None = None
    size_bytes: int | None = None
    parameter_count: int | None = None
    train_loss: float | None = None
    eval_loss: float | None = None
    created_at: datetime | None = None


class LineageNode(Answer):
    """A dataset, run, experiment, model or evaluation."""

    id: str
    type: str
    name: str


class LineageEdge(Answer):
    """`source` led to `target`."""

    source: str
    target: str
    relation: str


class Lineage(Answer):
    """Where a model comes from and what it scored, as a graph."""

    nodes: Sequence[LineageNode] = ()
    edges: Sequence[LineageEdge] = ()
