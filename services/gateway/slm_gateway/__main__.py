"""Serve the gateway: `python -m slm_gateway`."""

from slm_gateway.app import create_app
from slm_gateway.settings import GatewaySettings
from slm_shared.http.app import serve


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    serve("gateway", GatewaySettings, create_app)


if __name__ == "__main__":
    main()
