"""Serve the datasets service: `python -m slm_datasets`."""

from slm_datasets.app import create_app
from slm_datasets.settings import DatasetsSettings
from slm_shared.http.app import serve


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    serve("datasets", DatasetsSettings, create_app)


if __name__ == "__main__":
    main()
