"""Signed principals."""

import base64
import json
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from slm_shared.errors import UnauthenticatedError
from slm_shared.identity.keys import SIGNERS, generate_keys
from slm_shared.identity.principal import Principal, Role, Signer, Verifier

ADMIN = Principal("alice", Role.ADMIN)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    generate_keys(tmp_path)
    return tmp_path


def verifier(keys: Path) -> Verifier:
    return Verifier(keys / "principals.json", audience="training")


def test_a_signed_principal_is_recognised(keys: Path) -> None:
    token = Signer(keys / "gateway.json").token("training", ADMIN)
    assert verifier(keys).verify(token) == ADMIN
    assert verifier(keys).verify(token).may(Role.MEMBER)
    assert not ADMIN.may(Role.WORKER)


def test_a_token_for_another_service_is_refused(keys: Path) -> None:
    token = Signer(keys / "gateway.json").token("registry", ADMIN)
    with pytest.raises(UnauthenticatedError):
        verifier(keys).verify(token)


def test_a_worker_key_cannot_speak_for_an_admin(keys: Path) -> None:
    token = Signer(keys / "worker.json").token("training", ADMIN)
    with pytest.raises(UnauthenticatedError):
        verifier(keys).verify(token)


def test_each_flipped_character_of_the_signature_is_refused(keys: Path) -> None:
    head, claims, signature = Signer(keys / "gateway.json").token("training", ADMIN).split(".")
    checked = verifier(keys)
    for index in range(0, len(signature) - 1, 7):
        flipped = signature[:index] + ("A" if signature[index] != "A" else "B") + signature[index + 1 :]
        with pytest.raises(UnauthenticatedError):
            checked.verify(f"{head}.{claims}.{flipped}")


def test_other_algorithms_are_refused(keys: Path) -> None:
    claims = {"iss": "gateway", "sub": "x", "aud": "training", "role": "admin", "iat": 0, "exp": 4_102_444_800}
    public = (keys / "principals.json").read_bytes()
    symmetric = jwt.encode({"alg": "HS256", "kid": "gateway"}, claims, OctKey.import_key(public))
    parts = [{"alg": "none", "kid": "gateway"}, claims]
    unsigned = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    for token in (symmetric, unsigned + ".", "", "a.b.c", "../../etc/passwd"):
        with pytest.raises(UnauthenticatedError):
            verifier(keys).verify(token)


def test_a_lifetime_longer_than_a_minute_is_refused(keys: Path) -> None:
    signer = Signer(keys / "gateway.json")
    claims = {"iss": "gateway", "sub": "x", "aud": "training", "role": "admin", "iat": 0, "exp": 4_102_444_800}
    token = jwt.encode({"alg": "Ed25519", "kid": "gateway"}, claims, signer._key, algorithms=["Ed25519"])
    with pytest.raises(UnauthenticatedError):
        verifier(keys).verify(token)


def test_private_keys_are_readable_by_their_owner_only(keys: Path) -> None:
    assert {(keys / f"{kid}.json").stat().st_mode & 0o777 for kid in SIGNERS} == {0o600}


def test_existing_keys_are_kept(keys: Path) -> None:
    before = (keys / "principals.json").read_bytes()
    generate_keys(keys)
    assert (keys / "principals.json").read_bytes() == before
