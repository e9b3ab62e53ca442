"""Run the launcher: `python -m slm_local`."""

import sys

from slm_local.cli import main

if __name__ == "__main__":
    sys.exit(main())
