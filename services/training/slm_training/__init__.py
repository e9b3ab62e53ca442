"""Training: runs, experiments, attempts, metrics.

Owns runs (what was asked for), experiments (what became of it, one per run), their attempts, metric points and log
lines, and a projection of the datasets that exist.
Publishes `run.launched`, `experiment.started`, `experiment.completed`, `experiment.failed`, `experiment.cancelled`.
Consumes `dataset.processed`, `dataset.deleted`, and the telemetry of its trainers.
"""
