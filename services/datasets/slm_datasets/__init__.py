"""Datasets: versions of the data that models are trained and measured on.

Owns datasets and their versions, the raw uploads and the canonical Parquet in the object store.
Publishes `dataset.uploaded`, `dataset.processed`, `dataset.failed`, `dataset.deleted`.
Consumes nothing: what was uploaded is processed from its own work queue.
"""
