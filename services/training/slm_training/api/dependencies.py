"""What endpoints ask their app for, beside sessions and principals."""

from typing import Annotated

from slm_shared.http.provided import provided
from slm_training.service.leasing import LeasedJobs
from slm_training.service.resolving import Resolver

Resolving = Annotated[Resolver, provided(Resolver)]
Leased = Annotated[LeasedJobs, provided(LeasedJobs)]
