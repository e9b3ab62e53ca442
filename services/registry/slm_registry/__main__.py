"""Serve the registry: `python -m slm_registry`."""

from slm_registry.app import create_app
from slm_registry.settings import RegistrySettings
from slm_shared.http.app import serve


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    serve("registry", RegistrySettings, create_app)


if __name__ == "__main__":
    main()
