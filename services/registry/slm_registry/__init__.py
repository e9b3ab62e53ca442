"""Registry: models, their versions, cards and lineage.

Owns models (base and fine-tuned) under `<family>-v<n>`, and projections of the datasets and evaluations that cards
tell of.
Publishes `model.registered`, `model.deleted`.
Consumes `experiment.completed`, `evaluation.completed`, `dataset.processed`.
"""
