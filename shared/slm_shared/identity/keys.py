"""Make the keys that sign principals: `python -m slm_shared.identity.keys DIR` (once; existing keys are kept)."""

import argparse
import json
from pathlib import Path

from joserfc.jwk import OKPKey

from slm_shared.identity.principal import Role

# Who signs, and for which roles.
SIGNERS = {
    "gateway": (Role.VIEWER, Role.MEMBER, Role.ADMIN),
    "service": (Role.VIEWER,),
    "worker": (Role.WORKER,),
}


def generate_keys(folder: Path) -> None:
    """Make a private key file per signer (mode 0600) and `principals.json` with the public ones, unless there."""
    public = folder / "principals.json"
    if public.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    entries: dict[str, object] = {}
    for kid, roles in SIGNERS.items():
        key = OKPKey.generate_key("Ed25519")
        private = folder / f"{kid}.json"
        # Before the key is in it: nobody else may read it even for a moment.
        private.touch(mode=0o600)
        private.write_text(json.dumps({"kid": kid, "key": key.as_dict(private=True)}))
        entries[kid] = {"key": key.as_dict(private=False), "roles": sorted(map(str, roles))}
    # Last: its presence says that all of them are there.
    public.write_text(json.dumps({"keys": entries}, indent=2))


def main() -> None:
    """Read the folder from the command line and fill it."""
    parser = argparse.ArgumentParser(prog="python -m slm_shared.identity.keys", description=__doc__)
    parser.add_argument("folder", type=Path)
    generate_keys(parser.parse_args().folder)


if __name__ == "__main__":
    main()
