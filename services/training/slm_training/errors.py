"""What may go wrong with runs, as a user is told."""

from slm_shared.errors import ConflictError, InvalidError, NotFoundError


class RunNotFoundError(NotFoundError):
    """No such run."""

    code = "run_not_found"


class ExperimentNotFoundError(NotFoundError):
    """No such experiment."""

    code = "experiment_not_found"


class DatasetNotFoundError(NotFoundError):
    """The request names a dataset that does not exist."""

    code = "dataset_not_found"


class ModelNotFoundError(NotFoundError):
    """The request names a base model that does not exist."""

    code = "model_not_found"


class DatasetNotReadyError(ConflictError):
    """The dataset is still being processed, or ended in an error."""

    code = "dataset_not_ready"


class DatasetNotTrainableError(InvalidError):
    """The rows of the dataset are of no format that can be trained on."""

    code = "dataset_not_trainable"


class RunFinishedError(ConflictError):
    """The run has ended; nothing more happens to it."""

    code = "run_finished"


class LeaseLostError(ConflictError):
    """The writer's lease is not the newest one."""

    code = "lease_lost"
