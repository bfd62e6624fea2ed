"""Run credentials of Haltline, verified without asking it: a signature, and claims that say who may call what until when.

Haltline mints them (`POST /v1/sessions/{id}/tokens`) for sessions that are not halted. They live for minutes, so a halted
session has none soon. Only its public keys are fetched, and kept for an hour; without keys nothing is accepted.
"""

import fnmatch
from dataclasses import dataclass
from typing import Any

import jwt

ALGORITHM = "EdDSA"  # never what the token's header says
KEYS_SECONDS = 3600
FETCH_SECONDS = 5
LEEWAY_SECONDS = 5  # how far clocks may differ


@dataclass(frozen=True)
class Credential:
    session: str
    tenant: str
    agent: str | None
    tools: tuple[str, ...]
    expires: int

    def allows(self, *names: str) -> bool:
        """Whether one of the names that a tool goes by matches; only `*` and `?` are wildcards."""
        globs = [glob.replace("[", "[[]") for glob in self.tools]
        return any(fnmatch.fnmatchcase(name, glob) for name in names for glob in globs)


class Refused(Exception):
    """The credential is not accepted; says why, never the credential."""


class Verifier:
    def __init__(self, jwks_url: str, issuer: str, audience: str):
        self._keys = jwt.PyJWKClient(jwks_url, lifespan=KEYS_SECONDS, timeout=FETCH_SECONDS)
        self.issuer, self.audience = issuer, audience

    def verify(self, token: str) -> Credential:
        try:
            key = self._keys.get_signing_key_from_jwt(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=self.issuer,
                audience=self.audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"]},
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise Refused(f"{type(error).__name__}: {error}") from error
        return credential_of(claims)


def credential_of(claims: dict[str, Any]) -> Credential:
    tools, tenant, agent = claims.get("tools"), claims.get("tenant"), claims.get("agent")
    if not isinstance(tools, list) or not all(isinstance(glob, str) for glob in tools):
        raise Refused("expected `tools`: a list of names")
    if not isinstance(tenant, str) or not tenant:
        raise Refused("expected `tenant`: a name")
    if agent is not None and not isinstance(agent, str):
        raise Refused("expected `agent`: a name")
    return Credential(claims["sub"], tenant, agent, tuple(tools), int(claims["exp"]))
