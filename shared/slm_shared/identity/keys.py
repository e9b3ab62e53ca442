"""Make the keys that sign principals: `python -m slm_shared.identity.keys DIR` (once; existing keys are kept)."""

import argparse
from pathlib import Path

from slm_shared.identity.principal import Role, generate_keys

SIGNERS = {
    "gateway": (Role.VIEWER, Role.MEMBER, Role.ADMIN),
    "service": (Role.VIEWER,),
    "worker": (Role.WORKER,),
}


def main() -> None:
    """Read the folder from the command line and fill it."""
    parser = argparse.ArgumentParser(prog="python -m slm_shared.identity.keys", description=__doc__)
    parser.add_argument("folder", type=Path)
    generate_keys(parser.parse_args().folder, dict(SIGNERS))


if __name__ == "__main__":
    main()
