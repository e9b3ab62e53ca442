"""What may go wrong with models, as a user is told."""

from slm_shared.errors import NotFoundError


class ModelNotFoundError(NotFoundError):
    """No such model."""

    code = "model_not_found"


class FileNotInModelError(NotFoundError):
    """The model has no such file."""

    code = "file_not_found"
