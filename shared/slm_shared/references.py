"""Models and datasets of other services, as a service, a lease or a worker refers to them.

For whoever keeps or passes on such a reference: training and evaluation in the rows of runs and evaluations and in
their leases (`ModelRef`, `DatasetRef`), their workers in the jobs that follow from leases, the registry in the rows of
models (`PinnedReference`). `slm_shared.storage.columns.JsonOf` keeps one in a column.
"""

from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Reference(BaseModel):
    """A model or dataset by id, and the name that it had when it was referred to."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: UUID
    name: str


class PinnedReference(Reference):
    """A model or dataset whose content a hash names, where it is known.

    That is the hash of a model's manifest, or of a dataset's canonical Parquet.
    """

    sha256: str | None = None


class ModelRef(Reference):
    """A model as an artifact in the object store; `signature` is the registry's over id, name and manifest hash."""

    artifact_prefix: str
    manifest_key: str
    manifest_sha256: str
    signature: str | None = None


class DatasetRef(Reference):
    """A canonical dataset (Parquet) in the object store; `sha256` is that of the file, `rows` None if unknown.

    `mapping` names the column of the file that holds each field of the row format, e.g. `{"prompt": "question"}`.
    """

    object_key: str
    sha256: str
    row_format: str
    mapping: dict[str, str]
    rows: int | None = None
