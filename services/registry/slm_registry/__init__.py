"""Registry: models, their versions, cards and lineage.

Owns models (base and fine-tuned) under `<family>-v<n>`, their aliases, a journal of what happened, and what follows
from it: the lineage, and the datasets and evaluations that cards show.
Publishes `model.registered`, `model.promoted`, `model.deleted`.
Consumes `run.launched`, `experiment.started`, `experiment.completed`, `experiment.failed`, `evaluation.completed`,
`evaluation.failed`, `evaluation.regressed`, `dataset.processed`.
"""
