"""States of datasets and of the jobs that examine them."""

from enum import StrEnum


class DatasetStatus(StrEnum):
    """Where a dataset version stands; a deleted one is kept for lineage and shown to nobody."""

    IN_PROGRESS = "in_progress"
    PROCESSED = "processed"
    ERROR = "error"
    DELETED = "deleted"


MAX_ATTEMPTS = 3


class JobStatus(StrEnum):
    """Where an examination of a dataset stands."""

    QUEUED = "queued"
    DONE = "done"
    FAILED = "failed"


class JobKind(StrEnum):
    """What is examined: the quality of the rows, their tokens for a base model, or two datasets side by side."""

    QUALITY = "quality"
    TOKENS = "tokens"
    COMPARISON = "comparison"


class UploadStatus(StrEnum):
    """Where an upload in parts stands; one that is aborted or expired can be sent to no more."""

    OPEN = "open"
    COMPLETED = "completed"
    ABORTED = "aborted"
    EXPIRED = "expired"
