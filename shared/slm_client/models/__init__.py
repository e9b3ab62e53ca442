"""What the platform answers, typed where it is known. Fields this client does not know are kept as they came."""

from slm_client.models.base import Answer, Page, Problem, Reference
from slm_client.models.datasets import Column, Dataset, Preview
from slm_client.models.evaluations import (
    ComparedMetric,
    CurvePoint,
    Curves,
    Evaluation,
    EvaluationComparison,
    Predictions,
    Sample,
)
from slm_client.models.experiments import Experiment, Log, LogLine, MetricPoint, Metrics, Progress
from slm_client.models.models import (
    Alias,
    Aliases,
    AliasMove,
    ComparedFact,
    Lineage,
    LineageEdge,
    LineageNode,
    Model,
    ModelComparison,
    Usage,
    Use,
)
from slm_client.models.platform import Count, LiveEvent, Overview
from slm_client.models.runs import Run

__all__ = [
    "Alias",
    "AliasMove",
    "Aliases",
    "Answer",
    "Column",
    "ComparedFact",
    "ComparedMetric",
    "Count",
    "CurvePoint",
    "Curves",
    "Dataset",
    "Evaluation",
    "EvaluationComparison",
    "Experiment",
    "Lineage",
    "LineageEdge",
    "LineageNode",
    "LiveEvent",
    "Log",
    "LogLine",
    "MetricPoint",
    "Metrics",
    "Model",
    "ModelComparison",
    "Overview",
    "Page",
    "Predictions",
    "Preview",
    "Problem",
    "Progress",
    "Reference",
    "Run",
    "Sample",
    "Usage",
    "Use",
]
