"""Who is asking: short-lived signed principals between the gateway, the services and the workers.

The gateway (and each worker or service that calls another) signs a token of 60 seconds for one audience; every service
verifies it offline and then checks the object itself. One pinned algorithm, one local set of keys, nothing fetched.
Format: JWS compact serialisation with EdDSA, RFC 7515 and RFC 8037.
"""

import base64
import json
import time
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from slm_shared.errors import UnauthenticatedError

HEADER = "SLM-Principal"
ALGORITHM = "Ed25519"
LIFETIME_S = 60
# Half of a life: who gets a token has the other half to use it.
REUSE_S = 30
# What the clocks of two machines may differ.
CLOCK_LEEWAY_S = 5
CACHE_SIZE = 1024


class Role(StrEnum):
    """What a principal may do; viewer < member < admin, and worker apart from them."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"
    WORKER = "worker"


IMPLIED: dict[Role, frozenset[Role]] = {
    Role.VIEWER: frozenset({Role.VIEWER}),
    Role.MEMBER: frozenset({Role.VIEWER, Role.MEMBER}),
    Role.ADMIN: frozenset({Role.VIEWER, Role.MEMBER, Role.ADMIN}),
    Role.WORKER: frozenset({Role.WORKER}),
}


@dataclass(frozen=True)
class Principal:
    """Somebody known: `subject` is a stable name, `role` what they may do."""

    subject: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether this principal's role includes `role`."""
        return role in IMPLIED[self.role]


class Signer:
    """Signs principals with one private key file; a token is reused for half of its life."""

    def __init__(self, path: Path) -> None:
        document = json.loads(path.read_text())
        self._key = OKPKey.import_key(document["key"])
        self._kid: str = document["kid"]
        self._cache: dict[tuple[str, Principal], tuple[float, str]] = {}

    def token(self, audience: str, principal: Principal) -> str:
        """A token that lets `principal` speak to the service `audience`."""
        now = time.time()
        cached = self._cache.get((audience, principal))
        if cached and cached[0] > now:
            return cached[1]
        claims = {
            "iss": self._kid,
            "sub": principal.subject,
            "aud": audience,
            "role": str(principal.role),
            "iat": int(now),
            "exp": int(now) + LIFETIME_S,
        }
        token = jwt.encode({"alg": ALGORITHM, "kid": self._kid}, claims, self._key, algorithms=[ALGORITHM])
        # Full: most of it has expired, and what has not is signed again in a fraction of a millisecond.
        if len(self._cache) >= CACHE_SIZE:
            self._cache.clear()
        self._cache[(audience, principal)] = (now + REUSE_S, token)
        return token


class Verifier:
    """Verifies principals for one audience against the public key file.

    Each key may only sign certain roles, so that a stolen worker key cannot speak for an admin.
    """

    def __init__(self, path: Path, *, audience: str) -> None:
        document = json.loads(path.read_text())
        self._keys = {kid: OKPKey.import_key(entry["key"]) for kid, entry in document["keys"].items()}
        self._roles = {kid: frozenset(map(Role, entry["roles"])) for kid, entry in document["keys"].items()}
        self._audience = audience
        self._verified: OrderedDict[str, tuple[float, Principal]] = OrderedDict()

    def verify(self, token: str) -> Principal:
        """The principal the token speaks for. Raises UnauthenticatedError for anything but a valid token."""
        now = time.time()
        # A caller reuses its token: its signature is checked once, its expiry each time.
        known = self._verified.get(token)
        if known is not None:
            expires_at, principal = known
        else:
            expires_at, principal = self._decode(token)
            self._verified[token] = (expires_at, principal)
            if len(self._verified) > CACHE_SIZE:
                self._verified.popitem(last=False)
        if expires_at + CLOCK_LEEWAY_S < now:
            raise UnauthenticatedError("The request carries no valid principal.")
        return principal

    def _decode(self, token: str) -> tuple[float, Principal]:
        try:
            kid = _key_id(token)
            claims = jwt.decode(token, self._keys[kid], algorithms=[ALGORITHM]).claims
            role, expires_at, issued_at = Role(claims["role"]), float(claims["exp"]), float(claims["iat"])
            genuine = (
                claims["aud"] == self._audience
                and claims["iss"] == kid
                and role in self._roles[kid]
                and expires_at - issued_at <= LIFETIME_S
                and issued_at <= time.time() + CLOCK_LEEWAY_S
            )
            principal = Principal(subject=str(claims["sub"]), role=role)
        except (JoseError, KeyError, TypeError, ValueError) as error:
            raise UnauthenticatedError("The request carries no valid principal.") from error
        if not genuine:
            raise UnauthenticatedError("The request carries no valid principal.")
        return expires_at, principal


def _key_id(token: str) -> str:
    """Which of our own keys the unverified header names; anything else in the header is ignored."""
    first = token.split(".", 1)[0]
    header = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    kid = header["kid"]
    if not isinstance(kid, str):
        raise TypeError("kid")
    return kid
