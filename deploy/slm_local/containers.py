"""Secrets for the containers of compose.yaml: `python -m slm_local.containers FOLDER`, once, as root.

FOLDER has one folder (a named volume) per role with only what that role needs: services get the password of PostgreSQL,
workers the S3 credentials and their own signing key, and so on. Files that exist are kept.
"""

import argparse
import os
import shutil
from pathlib import Path

from slm_local.files import read_or_make_secret
from slm_shared.identity.keys import generate_keys

# The user of our own images, of NATS and of SeaweedFS; PostgreSQL starts as root and reads everything.
USER_ID = 10001
S3 = ("slm_s3_access_key", "slm_s3_secret_key")
ROLES = {
    "gateway": ("principals.json", "gateway.json"),
    "service": ("principals.json", "service.json", "slm_postgres_password", *S3),
    "worker": ("principals.json", "worker.json", *S3),
    "postgres": ("slm_postgres_password",),
    "s3": S3,
}


def prepare(folder: Path) -> None:
    """Make all secrets in the folder `all`, and copy to each role what it needs."""
    everything = folder / "all"
    generate_keys(everything)
    for name in ("slm_postgres_password", *S3):
        read_or_make_secret(everything / name)
    for role, names in ROLES.items():
        (folder / role).mkdir(parents=True, exist_ok=True)
        for name in names:
            copy = folder / role / name
            shutil.copyfile(everything / name, copy)
            copy.chmod(0o400)
            os.chown(copy, USER_ID, USER_ID)


def give(folders: list[Path]) -> None:
    """Make folders that the containers' user owns.

    They lie inside of volumes: Docker gives an empty volume the owner that its image names.
    """
    for folder in folders:
        folder.mkdir(exist_ok=True)
        os.chown(folder, USER_ID, USER_ID)


def main() -> None:
    """Read the folders from the command line."""
    parser = argparse.ArgumentParser(prog="python -m slm_local.containers", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--give", type=Path, nargs="*", default=[], help="data folders that the containers' user owns")
    options = parser.parse_args()
    prepare(options.folder)
    give(options.give)


if __name__ == "__main__":
    main()
