"""Serve the training service: `python -m slm_training`."""

from slm_shared.http.app import serve
from slm_training.app import create_app
from slm_training.settings import TrainingSettings


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    serve("training", TrainingSettings, create_app)


if __name__ == "__main__":
    main()
