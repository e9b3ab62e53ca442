"""States of datasets and of the jobs that examine them."""

from enum import StrEnum


class DatasetStatus(StrEnum):
    """The state of a dataset version; a deleted one is kept for lineage and shown to nobody."""

    IN_PROGRESS = "in_progress"
    PROCESSED = "processed"
    ERROR = "error"
    DELETED = "deleted"


# A child killed for its memory, or a lost machine, may be bad luck once or twice.
MAX_ATTEMPTS = 3


class JobStatus(StrEnum):
    """The state of an examination of a dataset."""

    QUEUED = "queued"
    DONE = "done"
    FAILED = "failed"


class JobKind(StrEnum):
    """What is examined: the quality of the rows, their tokens for a base model, or two datasets side by side."""

    QUALITY = "quality"
    TOKENS = "tokens"
    COMPARISON = "comparison"


class UploadStatus(StrEnum):
    """The state of an upload in parts; one that was aborted or has expired takes no more parts."""

    OPEN = "open"
    COMPLETED = "completed"
    ABORTED = "aborted"
    EXPIRED = "expired"
