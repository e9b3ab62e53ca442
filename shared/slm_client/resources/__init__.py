"""The synchronous client's methods by resource: each takes what its endpoint takes and returns its typed answer."""

from slm_client.resources.base import Sender
from slm_client.resources.datasets import Datasets
from slm_client.resources.evaluations import Evaluations
from slm_client.resources.experiments import Experiments
from slm_client.resources.models import Models
from slm_client.resources.operations import Operations
from slm_client.resources.runs import Runs

__all__ = [
    "Datasets",
    "Evaluations",
    "Experiments",
    "Models",
    "Operations",
    "Runs",
    "Sender",
]
