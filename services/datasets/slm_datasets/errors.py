"""Errors of the datasets service that a user sees."""

from slm_shared.errors import ConflictError, InvalidError, NotFoundError, UnsupportedTypeError


class DatasetNotFoundError(NotFoundError):
    """No such dataset."""

    code = "dataset_not_found"


class DatasetNotReadyError(ConflictError):
    """The dataset is still being processed, or ended in an error."""

    code = "dataset_not_ready"


class DatasetInUseError(ConflictError):
    """Something that has not ended yet reads the dataset."""

    code = "dataset_in_use"


class IdenticalContentError(ConflictError):
    """The family already has a version of the same bytes."""

    code = "identical_content"


class NotRetriableError(ConflictError):
    """Only a dataset in error is processed again."""

    code = "not_retriable"


class ReportNotFoundError(NotFoundError):
    """No such report of this dataset."""

    code = "report_not_found"


class ImageNotFoundError(NotFoundError):
    """The row has no image."""

    code = "image_not_found"


class NotTrainableError(InvalidError):
    """No language model can be trained on these rows."""

    code = "not_trainable"


class ModelNotFoundError(NotFoundError):
    """No such model in the registry."""

    code = "model_not_found"


class QuotaExceededError(ConflictError):
    """The owner has as much as is allowed."""

    code = "quota_exceeded"


class FileEmptyError(InvalidError):
    """The uploaded file has no bytes."""

    code = "file_empty"


class FileTypeError(UnsupportedTypeError):
    """The name's suffix is none of the accepted formats."""

    code = "type_not_allowed"


class FileMismatchError(UnsupportedTypeError):
    """The content does not match the suffix of the name."""

    code = "type_mismatch"


class UploadNotFoundError(NotFoundError):
    """No such open upload."""

    code = "upload_not_found"


class OffsetMismatchError(ConflictError):
    """A part does not have the size or the place that the upload has for it."""

    code = "offset_mismatch"


class ChecksumMismatchError(InvalidError):
    """What arrived is not what was announced."""

    code = "checksum_mismatch"
