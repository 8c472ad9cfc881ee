"""The claims of a service account's token, unverified: only the API server that issued it can verify it.

A token comes from a Secret or from a member, so its form is checked first: it becomes an HTTP header, and its times
decide when it is renewed.
"""

import base64
import binascii
import math
from typing import Any, NamedTuple

import orjson

LONGEST = 16 << 10
"""Characters. Kubernetes' own have about a thousand, and servers take headers of 8 to 16 kB."""
_LATEST = 1e11
"""Unix seconds (the year 5138) from which on a claim is not accepted as a time."""
_KUBERNETES = "kubernetes.io"


class Account(NamedTuple):
    """A service account."""

    namespace: str
    name: str


def is_bearer(token: str) -> bool:
    """Whether it can be sent as a bearer token: printable ASCII without spaces, at most LONGEST."""
    return 0 < len(token) <= LONGEST and token.isascii() and token.isprintable() and " " not in token


def claims(token: str) -> dict[str, Any]:
    """A JWT's payload; {} for anything else."""
    parts = token.split(".") if is_bearer(token) else []
    if len(parts) != 3:
        return {}
    try:
        found = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def lifetime(payload: dict[str, Any]) -> tuple[float, float] | None:
    """When it was issued and when it expires, in unix seconds; None where either is missing or makes no sense."""
    issued, ends = _time(payload.get("iat")), _time(payload.get("exp"))
    return (issued, ends) if issued is not None and ends is not None and ends > issued else None


def account(payload: dict[str, Any]) -> Account | None:
    """The service account that the token is for; None where it is not a service account's."""
    subject = payload.get("sub")
    parts = subject.split(":") if isinstance(subject, str) else []
    if len(parts) != 4 or parts[:2] != ["system", "serviceaccount"] or not parts[2] or not parts[3]:
        return None
    return Account(parts[2], parts[3])


def bound_object(payload: dict[str, Any]) -> dict[str, str] | None:
    """The boundObjectRef of the Secret that the token is bound to; None when it is bound to none."""
    kubernetes = payload.get(_KUBERNETES)
    secret = kubernetes.get("secret") if isinstance(kubernetes, dict) else None
    if not isinstance(secret, dict):
        return None
    name, uid = secret.get("name"), secret.get("uid")
    if not isinstance(name, str) or not isinstance(uid, str) or not name or not uid:
        return None
    return {"apiVersion": "v1", "kind": "Secret", "name": name, "uid": uid}


def audiences(payload: dict[str, Any]) -> tuple[str, ...]:
    """The token's audiences."""
    found = payload.get("aud")
    if isinstance(found, str):
        return (found,)
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()


def _time(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if 0 <= value < _LATEST else None
