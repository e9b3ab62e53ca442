"""Why a training cannot work or cannot go on; each ends the run with a code and a line that says what to do."""

UNEXPECTED = "training_error"
EXIT_FAILED = 1
# EX_USAGE and EX_TEMPFAIL of sysexits.h.
EXIT_USER = 64
EXIT_DRAINED = 75


class TrainingError(Exception):
    """Root of what the user has to mend: `code` is stable, the text is for them."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class NoTrainableTokensError(TrainingError):
    """No row leaves a token to learn from under its format and `max_length`."""

    def __init__(self) -> None:
        what = "No row leaves a token to learn from within max_length. Raise max_length or check the columns."
        super().__init__("no_trainable_tokens", what)


class DivergedError(TrainingError):
    """The loss became NaN or infinite at `step`."""

    def __init__(self, step: int) -> None:
        super().__init__("diverged", f"The loss was not finite at step {step}. Try a lower learning rate.")


class DrainedError(Exception):
    """The training stopped at a checkpoint because it was asked to; somebody else goes on from there."""
