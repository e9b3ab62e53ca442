"""The job that the supervisor hands to its child."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from slm_evaluation.schemas.leases import EvaluationLease


class EvaluationJob(BaseModel):
    """Everything the child needs; it reads and writes only the paths named here."""

    model_config = ConfigDict(frozen=True)

    lease: EvaluationLease
    model_folder: Path
    rows: Path
    predictions: Path
    index: Path


class RefusedError(Exception):
    """The model cannot be measured like this; `code` is stable, the message says why and what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
