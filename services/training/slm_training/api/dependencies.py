"""What endpoints ask their app for, beside sessions and principals."""

from typing import Annotated

from slm_shared.http.provided import provided
from slm_training.service.resolving import Resolver
from slm_training.settings import TrainingSettings

Settings = Annotated[TrainingSettings, provided(TrainingSettings)]
Resolving = Annotated[Resolver, provided(Resolver)]
