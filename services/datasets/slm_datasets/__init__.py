"""Datasets: versions of the data that models are trained and measured on.

Owns datasets and their versions, the raw uploads and the canonical Parquet in the object store.
Publishes `dataset.uploaded`, `dataset.processed`, `dataset.failed`, `dataset.deleted`.
Consumes `run.launched`, `experiment.completed`, `experiment.failed` and `experiment.cancelled`: which runs still need
which datasets. What was uploaded is processed, and examined, from its own work queues.
"""
