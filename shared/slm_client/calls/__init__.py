"""Every request of the public REST API as data, by resource: `calls.runs.launch(...)` is what a client sends."""

from slm_client.calls import datasets, evaluations, experiments, models, operations, platform, runs, uploads

__all__ = ["datasets", "evaluations", "experiments", "models", "operations", "platform", "runs", "uploads"]
