"""What may go wrong with evaluations, as a user is told."""

from slm_shared.errors import ConflictError, InvalidError, NotFoundError


class EvaluationNotFoundError(NotFoundError):
    """No such evaluation."""

    code = "evaluation_not_found"


class EvaluationNotReadyError(ConflictError):
    """The evaluation has no predictions yet, or ended without any."""

    code = "evaluation_not_ready"


class EvaluationFinishedError(ConflictError):
    """The evaluation has ended and cannot be cancelled."""

    code = "evaluation_finished"


class EvaluationNotRetryableError(ConflictError):
    """The evaluation is under way or has its numbers, so there is nothing to try again."""

    code = "evaluation_not_retryable"


class ModelNotFoundError(NotFoundError):
    """No such model."""

    code = "model_not_found"


class DatasetNotFoundError(NotFoundError):
    """No such dataset."""

    code = "dataset_not_found"


class DatasetNotReadyError(ConflictError):
    """The dataset is not processed."""

    code = "dataset_not_ready"


class NotComparableError(InvalidError):
    """The evaluations were not made on the same rows."""

    code = "evaluations_not_comparable"


class SuiteNotFoundError(NotFoundError):
    """No such benchmark suite."""

    code = "suite_not_found"


class SuiteInvalidError(ConflictError):
    """The file of a benchmark suite cannot be used."""

    code = "suite_invalid"
