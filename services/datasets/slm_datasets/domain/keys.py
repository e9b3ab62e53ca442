"""Where the files of a dataset lie in the object store."""

from uuid import UUID

# What a child names its file of thumbnails, beside the rows.
THUMBNAILS = "thumbnails.parquet"


def raw_key(dataset_id: UUID) -> str:
    """The file as it was uploaded."""
    return f"datasets/{dataset_id}/raw"


def canonical_key(dataset_id: UUID, epoch: int) -> str:
    """Where a processing attempt stores its Parquet; only the one that is committed is ever read."""
    return f"datasets/{dataset_id}/e{epoch}/canonical.parquet"


def thumbnails_key(canonical: str) -> str:
    """The thumbnails of a dataset of images, one row for each of its own."""
    return canonical.replace("canonical.parquet", "thumbnails.parquet")
