"""What the endpoints of this service ask their app and their callers for."""

from typing import Annotated

from fastapi import Query

from slm_evaluation.schemas.evaluations import Filters
from slm_evaluation.service.ordering import Resolver
from slm_evaluation.service.reading import SORTED_BY
from slm_evaluation.settings import EvaluationSettings
from slm_shared.http.provided import provided, taken
from slm_shared.peers import Peer

InputResolver = Annotated[Resolver, provided(Resolver)]
Settings = Annotated[EvaluationSettings, provided(EvaluationSettings)]
TrainingService = Annotated[Peer, provided(Peer)]
FilteredBy = Annotated[Filters, taken(Filters)]
SortedBy = Annotated[
    str, Query(max_length=40, description=f"One of {', '.join(SORTED_BY)}; with a minus in front descending.")
]
