"""Evaluation: models measured on datasets.

Owns evaluations (one model on one dataset), their metrics, samples and predictions, and projections of the
models and datasets that exist.
Publishes `evaluation.completed`, `evaluation.failed`, `evaluation.regressed`.
Consumes `model.registered`, `model.deleted`, `dataset.processed`.
"""
