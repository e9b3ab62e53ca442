"""Serve the training service: `python -m slm_training`."""

from slm_shared.http.app import serve
from slm_training.app import create_app
from slm_training.settings import TrainingSettings


def main() -> None:
    """Settings from the environment, then serve."""
    settings = TrainingSettings()
    serve(create_app(settings), settings)


if __name__ == "__main__":
    main()
