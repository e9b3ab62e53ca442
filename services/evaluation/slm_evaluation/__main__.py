"""Serve the evaluation service: `python -m slm_evaluation`."""

from slm_evaluation.app import create_app
from slm_evaluation.settings import EvaluationSettings
from slm_shared.http.app import serve


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    serve("evaluation", EvaluationSettings, create_app)


if __name__ == "__main__":
    main()
