"""What the endpoints of this room are given, by type."""

from typing import Annotated

from fastapi import Depends

from slm_datasets.schemas import DatasetFilters
from slm_datasets.service.upload_parts import PartedUploads
from slm_datasets.settings import DatasetsSettings
from slm_shared.http.provided import provided, taken
from slm_shared.http.routing import Objects
from slm_shared.peers import Peer


async def _uploads(uploads: Annotated[PartedUploads, provided(PartedUploads)], _: Objects) -> PartedUploads:
    return uploads


Filters = Annotated[DatasetFilters, taken(DatasetFilters)]
Registry = Annotated[Peer, provided(Peer)]
Settings = Annotated[DatasetsSettings, provided(DatasetsSettings)]
# With an object store that is known to answer.
Uploads = Annotated[PartedUploads, Depends(_uploads)]
