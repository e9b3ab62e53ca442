"""The asynchronous client's methods by resource: the same as in `resources`, to be awaited."""

from slm_client.async_resources.base import AsyncSender
from slm_client.async_resources.datasets import AsyncDatasets
from slm_client.async_resources.evaluations import AsyncEvaluations
from slm_client.async_resources.experiments import AsyncExperiments
from slm_client.async_resources.models import AsyncModels
from slm_client.async_resources.operations import AsyncOperations
from slm_client.async_resources.runs import AsyncRuns

__all__ = [
    "AsyncDatasets",
    "AsyncEvaluations",
    "AsyncExperiments",
    "AsyncModels",
    "AsyncOperations",
    "AsyncRuns",
    "AsyncSender",
]
