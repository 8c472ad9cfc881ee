"""Where a stored credential may be sent: to the place that it was stored for, and nowhere else.

A KubeFedCluster has the place of a member, its Secret the credentials for it. Whoever may change the first must not
thereby learn the second, so the Secret carries a record of the place: `fedctl join` writes it, and for Secrets without
one (from git, or KubeFed's) the controller does, once the member has answered as the cluster that it should be. From
then on another endpoint, CA, proxy or TLS setting is refused until somebody with rights on Secrets confirms it.

A Secret without a record is used only where it says itself which cluster it belongs to: by our annotation, which
somebody with rights on Secrets wrote, or by the form that kubefedctl gave it. Else whoever may create a KubeFedCluster
could have any Secret of the system namespace (a token for git) sent anywhere.
"""

import base64
import binascii
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from federation.core import jwt
from federation.model.resources import ObjectName

ANNOTATION = "kubefed.io/bound-to"
"""On the Secret with a member's credentials: the record."""
CLUSTER_ANNOTATION = "kubefed.io/cluster"
"""On a Secret that `fedctl join` made: the KubeFedCluster that it belongs to."""

_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 - a Secret's type
_OPAQUE = ("", "Opaque")
_LONGEST = 200

Place = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A Secret that a KubeFedCluster refers to; `data` is base64, `generate_name` what its name was made from."""

    where: ObjectName
    annotations: Mapping[str, str]
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    kind: str = ""
    generate_name: str = ""


def api_endpoint(text: str) -> str:
    """An apiEndpoint as a URL. `host` or `host:port` alone is https, as in KubeFed where there is a CA.

    Where there is none KubeFed used http; a token never goes over that, so it is https here, too.
    """
    return f"https://{text}" if text and "/" not in text.rstrip("/") else text


def place(spec: Mapping[str, Any]) -> Place:
    """Where a cluster's credentials go; a CA and a proxy by digest, as they are long or hold a password."""
    relaxed = spec.get("disabledTLSValidations") or ()
    return {
        "apiEndpoint": api_endpoint(str(spec.get("apiEndpoint") or "")).rstrip("/"),
        "caBundle": _digest(spec.get("caBundle")),
        "proxyURL": _digest(spec.get("proxyURL")),
        "disabledTLSValidations": sorted(map(str, relaxed)) if isinstance(relaxed, list | tuple) else [str(relaxed)],
    }


def record(spec: Mapping[str, Any], *, given: bool = False) -> str:
    """The annotation's text. `given`: a person named the endpoint (`fedctl join --api-endpoint`)."""
    return json.dumps({**place(spec), **({"given": True} if given else {})}, sort_keys=True)


def recorded(annotations: Mapping[str, str]) -> Place | None:
    """The record; None when there is none. One that cannot be read is a record that fits nothing."""
    text = annotations.get(ANNOTATION)
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def unverified(spec: Mapping[str, Any]) -> str:
    """What a KubeFedCluster's disabledTLSValidations give up, for whoever reads the log; "" when all is verified."""
    disabled = place(spec)["disabledTLSValidations"]
    if not disabled:
        return ""
    if "*" in disabled:
        risk = "the server's certificate is not verified: whoever answers at its endpoint gets its credentials"
    elif "SubjectName" in disabled:
        risk = "the server's name is not verified: whoever has a certificate of the same CA gets its credentials"
    else:
        risk = "a certificate that has expired is accepted"
    return f"spec.disabledTLSValidations: {_short(disabled)}: {risk}"


def mismatch(name: str, spec: Mapping[str, Any], secret: Credentials) -> str:
    """Why these credentials must not be sent to the place in the KubeFedCluster `name`; "" when they may."""
    bound = recorded(secret.annotations)
    if bound is None:
        return _stranger(name, secret)
    differing = differences(bound, place(spec))
    if not differing:
        return ""
    return (
        f"its credentials were stored for another place, and are not sent to this one: {'; '.join(differing)}. "
        f"If that is intended, confirm it with: fedctl join {name} --rotate (--api-endpoint for another address than "
        f"your kubeconfig's); or, with rights on Secrets: {_confirmation(name, secret, f' {ANNOTATION}-')}"
    )


def belongs(name: str, secret: Credentials) -> bool:
    """Whether the Secret is one of the cluster `name`, so that a join may put other credentials into it."""
    return recorded(secret.annotations) is not None or not _stranger(name, secret)


def _stranger(name: str, secret: Credentials) -> str:
    """Why a Secret without a record may be another's than this cluster's."""
    owner = secret.annotations.get(CLUSTER_ANNOTATION)
    if owner == name or (owner is None and _is_kubefedctls(name, secret)):
        return ""
    if owner is not None:
        return f"the Secret holds the credentials of cluster {owner[:_LONGEST]!r}: {name} needs a Secret of its own"
    held = (
        "a token for an account of the host cluster" if secret.kind == _ACCOUNT_TOKEN else "this cluster's credentials"
    )
    claim = f"Secret {secret.where.name[:_LONGEST]!r} holds {held}"
    if secret.kind != _ACCOUNT_TOKEN:
        claim = f"nothing says that {claim}"
    return (
        f"{claim}, so nothing of it is sent. If it is meant for this cluster, confirm it with rights on Secrets: "
        f"{_confirmation(name, secret)}; or get new credentials in another Secret: fedctl join {name} --rotate "
        "--secret-name NAME"
    )


def _confirmation(name: str, secret: Credentials, change: str = "") -> str:
    named = "" if secret.annotations.get(CLUSTER_ANNOTATION) == name else f" {CLUSTER_ANNOTATION}={name}"
    return f"kubectl annotate secret {secret.where.name[:_LONGEST]} -n {secret.where.namespace}{change}{named}"


def _is_kubefedctls(name: str, secret: Credentials) -> bool:
    """Whether `kubefedctl join` made the Secret for the cluster `name`.

    It has a generated name, and one token: that of the account `<cluster>-<host>` in the member's system namespace.
    With --secret-name it had a name that says nothing.
    """
    if secret.kind not in _OPAQUE or secret.generate_name != f"{name}-" or set(secret.data) != {"token"}:
        return False
    try:
        token = base64.b64decode(str(secret.data["token"])).decode("ascii").strip()
    except (binascii.Error, ValueError):
        return False
    account = jwt.account(jwt.claims(token))
    return account is not None and account.namespace == secret.where.namespace and account.name.startswith(f"{name}-")


def differences(bound: Mapping[str, Any], now: Place) -> list[str]:
    """What differs from the record, one sentence each."""
    if not bound:
        return ["the record of it cannot be read"]
    found = []
    for field, value in now.items():
        before = bound.get(field, "")
        if field in ("caBundle", "proxyURL"):
            if before != value:
                found.append(f"{field} is {'another' if before and value else 'new' if value else 'gone'}")
        elif before != value:
            found.append(f"{field} is {_short(value)}, not {_short(before)}")
    return found


def _short(value: Any) -> str:
    return (", ".join(map(str, value)) or "empty" if isinstance(value, list) else str(value) or "empty")[:_LONGEST]


def _digest(value: Any) -> str:
    return f"sha256:{hashlib.sha256(str(value).encode()).hexdigest()}" if value else ""
