"""Errors of the registry that a user sees."""

from slm_shared.errors import ConflictError, InvalidError, NotFoundError


class ModelNotFoundError(NotFoundError):
    """No such model."""

    code = "model_not_found"


class FileNotInModelError(NotFoundError):
    """The model has no such file."""

    code = "file_not_found"


class ModelDeletedError(NotFoundError):
    """The model was deleted; its lineage, its timeline and the history of its aliases remain."""

    code = "model_deleted"


class ModelInUseError(ConflictError):
    """Something refers to the model, so it cannot be deleted."""

    code = "model_in_use"


class AliasNotFoundError(NotFoundError):
    """The family has no such alias."""

    code = "alias_not_found"


class AliasReservedError(ConflictError):
    """The alias is moved by the registry itself."""

    code = "alias_reserved"


class LineageNodeNotFoundError(NotFoundError):
    """Nothing of that id or name is in any lineage."""

    code = "lineage_node_not_found"


class NotReproducibleError(ConflictError):
    """The model was not made by a training of this platform."""

    code = "not_reproducible"


class PromotionRefusedError(ConflictError):
    """The promotion policy does not hold for the model; `errors` names each condition that failed."""

    code = "promotion_refused"


class NothingToRollBackError(ConflictError):
    """The family has no earlier champion that is still there."""

    code = "nothing_to_roll_back"


class ArchiveInvalidError(InvalidError):
    """The archive holds no model that could be loaded safely."""

    code = "archive_invalid"


class SigningKeyMissingError(ConflictError):
    """The registry runs without a key, so it signs nothing."""

    code = "signing_key_missing"
