"""Signed artifacts: who registered a model vouches for the hash of its manifest, and so for every byte of its files.

The signature is a JWS (compact, EdDSA with Ed25519; RFC 7515 and RFC 8037) over the model's id, name and manifest hash,
made with the key of the services. A model under another name, or another model's files, do not verify.
"""

import json
from pathlib import Path
from uuid import UUID

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from slm_shared.identity.principal import ALGORITHM
from slm_shared.storage.manifest import ArtifactMismatchError

SIGNERS = frozenset({"service"})


def _statement(model_id: UUID | str, name: str, manifest_sha256: str) -> bytes:
    statement = {"manifest_sha256": manifest_sha256, "model_id": str(model_id), "name": name}
    return json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()


class ArtifactSigner:
    """Signs with one private key file, as `slm_shared.identity.keys` makes them."""

    def __init__(self, path: Path) -> None:
        document = json.loads(path.read_text())
        self._key = OKPKey.import_key(document["key"])
        self._header = {"alg": ALGORITHM, "kid": document["kid"]}

    def sign(self, model_id: UUID | str, name: str, manifest_sha256: str) -> str:
        """The signature of a model's artifact."""
        statement = _statement(model_id, name, manifest_sha256)
        return jws.serialize_compact(self._header, statement, self._key, algorithms=[ALGORITHM])


class ArtifactVerifier:
    """Verifies against the public key file; only the key of the services vouches for artifacts."""

    def __init__(self, path: Path) -> None:
        document = json.loads(path.read_text())
        self._keys = {kid: OKPKey.import_key(entry["key"]) for kid, entry in document["keys"].items() if kid in SIGNERS}

    def verify(self, signature: str | None, model_id: UUID | str, name: str, manifest_sha256: str) -> None:
        """Raises ArtifactMismatchError unless the signature is one of ours over exactly this."""
        if signature is None:
            raise ArtifactMismatchError(f"The artifact of {name} is not signed.")
        try:
            found = jws.extract_compact(signature.encode())
            key = self._keys[str(found.headers()["kid"])]
            payload = jws.deserialize_compact(signature, key, algorithms=[ALGORITHM]).payload
        except (JoseError, KeyError, ValueError, UnicodeError) as error:
            raise ArtifactMismatchError(f"The signature of {name} is not one of this platform's.") from error
        if payload != _statement(model_id, name, manifest_sha256):
            raise ArtifactMismatchError(f"The signature of {name} is that of another artifact.")


def signer_for(signing_key: Path | None) -> ArtifactSigner | None:
    """The signer of a service, or None without a key."""
    return ArtifactSigner(signing_key) if signing_key else None


def verifier_for(principal_keys: Path | None) -> ArtifactVerifier | None:
    """The verifier of a process, or None without keys."""
    return ArtifactVerifier(principal_keys) if principal_keys else None
