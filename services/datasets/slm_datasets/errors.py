"""What may go wrong with datasets, as a user is told."""

from slm_shared.errors import (
    ConflictError,
    InvalidError,
    MalformedError,
    NotFoundError,
    TooLargeError,
    UnsupportedTypeError,
)


class DatasetNotFoundError(NotFoundError):
    """No such dataset."""

    code = "dataset_not_found"


class DatasetNotReadyError(ConflictError):
    """The dataset is still being processed, or ended in an error."""

    code = "dataset_not_ready"


class FileEmptyError(InvalidError):
    """The uploaded file has no bytes."""

    code = "file_empty"


class FileMissingError(InvalidError):
    """The form has no file."""

    code = "file_missing"


class FileTooLargeError(TooLargeError):
    """The upload is larger than allowed."""

    code = "too_large"


class FileTypeError(UnsupportedTypeError):
    """The name's suffix is none of the accepted formats."""

    code = "type_not_allowed"


class FileMismatchError(UnsupportedTypeError):
    """The content is not what the name says."""

    code = "type_mismatch"


class MultipartInvalidError(MalformedError):
    """The form cannot be read."""

    code = "multipart_invalid"
