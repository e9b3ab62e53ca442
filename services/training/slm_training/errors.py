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


class ModelNotAllowedError(InvalidError):
    """The base model is named by something that is no name of the registry: a path, an address."""

    code = "model_not_allowed"


class ObjectiveNotPossibleError(InvalidError):
    """The rows of the dataset are not of the kind the objective needs."""

    code = "objective_not_possible"


class DraftOnlyError(ConflictError):
    """Only a run that was not started yet can be edited or removed."""

    code = "run_not_a_draft"


class NotPossibleNowError(ConflictError):
    """The run's state does not allow this."""

    code = "run_state_conflict"


class PlanNotFoundError(NotFoundError):
    """No such plan."""

    code = "plan_not_found"


class PlanNotReadyError(ConflictError):
    """The plan is not finished, or found that the run cannot work."""

    code = "plan_not_ready"


class PlanRefusedError(InvalidError):
    """The preflight found why the run cannot work."""

    code = "preflight_failed"


class NothingToCompareError(ConflictError):
    """There are no numbers to compare yet."""

    code = "nothing_to_compare"
