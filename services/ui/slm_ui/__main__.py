"""`python -m slm_ui`: serve the console."""

import sys

from slm_ui.app import create_app, options
from slm_ui.settings import settings


def main() -> None:
    """Serve until told to stop."""
    # Streamlit takes the program's name for the place of its configuration file.
    sys.argv = ["-c"]
    create_app(settings()).run(config=options(settings()))


if __name__ == "__main__":
    main()
