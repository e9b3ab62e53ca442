"""Python client of the platform and the `slm` command; speaks only the public REST API.

Owns nothing, publishes nothing, consumes nothing. `SlmClient` is synchronous, `AsyncSlmClient` the same for asyncio.
"""

from slm_client.asynchronous import AsyncSlmClient
from slm_client.errors import SlmError, UnreachableError, WaitTimeoutError
from slm_client.models import (
    Dataset,
    Evaluation,
    Experiment,
    LiveEvent,
    Model,
    Overview,
    Page,
    Run,
)
from slm_client.synchronous import SlmClient

__all__ = [
    "AsyncSlmClient",
    "Dataset",
    "Evaluation",
    "Experiment",
    "LiveEvent",
    "Model",
    "Overview",
    "Page",
    "Run",
    "SlmClient",
    "SlmError",
    "UnreachableError",
    "WaitTimeoutError",
]
