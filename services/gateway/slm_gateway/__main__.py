"""Run the gateway: `python -m slm_gateway`."""

import sys

import structlog
from pydantic import ValidationError

from slm_gateway.app import create_app
from slm_gateway.settings import GatewaySettings
from slm_shared.http.app import serve
from slm_shared.observability.logging import configure_logging


def main() -> None:
    """Serve until SIGTERM or SIGINT; exit code 2 for settings that cannot be."""
    try:
        settings = GatewaySettings()
    except ValidationError as error:
        configure_logging("gateway")
        problems = [f"{'.'.join(map(str, problem['loc']))} {problem['msg']}".strip() for problem in error.errors()]
        structlog.get_logger().error("settings.invalid", problems=problems)
        sys.exit(2)
    serve(create_app(settings), settings)


if __name__ == "__main__":
    main()
