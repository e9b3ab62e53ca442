"""Evaluation: models measured on datasets.

Owns evaluations (one model on one dataset), their metrics, samples and predictions, and a projection of the models that
exist.
Publishes `evaluation.completed`, `evaluation.failed`.
Consumes `model.registered`.
"""
