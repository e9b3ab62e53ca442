"""What may go wrong with evaluations, as a user is told."""

from slm_shared.errors import ConflictError, NotFoundError


class EvaluationNotFoundError(NotFoundError):
    """No such evaluation."""

    code = "evaluation_not_found"


class EvaluationNotReadyError(ConflictError):
    """The evaluation has no predictions yet, or ended without any."""

    code = "evaluation_not_ready"


class LeaseLostError(ConflictError):
    """The writer's lease is not the newest one."""

    code = "lease_lost"
