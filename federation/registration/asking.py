"""What a CertificateSigningRequest of the hub asks for, and in whose name it was made.

Its requester, groups and extra are set by the API server and cannot be forged; all else is what somebody wrote.
"""

import base64
import binascii
import enum
from dataclasses import dataclass, field
from typing import Any

from federation.model.federated import DatedMetadata, StoredObject
from federation.registration import names


class Unreadable(Exception):
    """A certificate request that says nothing; the message is why."""


class State(enum.StrEnum):
    """What has become of it."""

    PENDING = "Pending"
    APPROVED = "Approved"
    """A certificate is to be issued: that is done by the kube-controller-manager."""
    ISSUED = "Issued"
    DENIED = "Denied"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Contents:
    """What is inside a certificate request (PKCS 10). `extensions` and `other_attributes` are object identifiers."""

    common_names: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()
    other_attributes: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A CertificateSigningRequest. `labelled` is the cluster that its label names, `message` why it was denied."""

    name: str
    uid: str
    labelled: str
    signer: str
    username: str
    groups: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()
    created: str = ""
    state: State = State.PENDING
    message: str = ""
    pem: bytes = field(default=b"", repr=False)
    certificate: bytes = field(default=b"", repr=False)


def read(stored: StoredObject) -> Request:
    """The request that an object of the hub is. Whatever has another type than the API gives it counts as absent."""
    spec, meta = stored.spec, stored.metadata
    status = stored.status
    conditions = {str(each.get("type")): each for each in stored.conditions if each.get("status", "True") == "True"}
    certificate = _bytes(status.get("certificate"))
    state, said = State.PENDING, {}
    for kind, means in (("Denied", State.DENIED), ("Failed", State.FAILED), ("Approved", State.APPROVED)):
        if kind in conditions:
            state, said = means, conditions[kind]
            break
    if state is State.APPROVED and certificate:
        state = State.ISSUED
    return Request(
        name=meta.name,
        uid=meta.uid,
        labelled=meta.labels.get(names.CLUSTER_LABEL, ""),
        signer=_text(spec.get("signerName")),
        username=_text(spec.get("username")),
        groups=_texts(spec.get("groups")),
        usages=_texts(spec.get("usages")),
        created=meta.creation_timestamp if isinstance(meta, DatedMetadata) else "",
        state=state,
        message=_text(said.get("message")),
        pem=_bytes(spec.get("request")),
        certificate=certificate,
    )


def manifest(name: str, cluster: str, pem: bytes, *, seconds: int = 0) -> dict[str, Any]:
    """The CertificateSigningRequest that an agent creates. `seconds`: how long it is to last; 0 as the hub likes."""
    spec: dict[str, Any] = {
        "request": base64.b64encode(pem).decode(),
        "signerName": names.SIGNER,
        "usages": list(USAGES),
    }
    if seconds:
        spec["expirationSeconds"] = seconds
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name, "labels": {names.CLUSTER_LABEL: cluster}},
        "spec": spec,
    }


USAGES = ("client auth", "digital signature", "key encipherment")
"""The usages that an agent asks for, in OCM's and Kubernetes' words."""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def _bytes(value: object) -> bytes:
    try:
        return base64.b64decode(_text(value), validate=True)
    except (binascii.Error, ValueError):
        return b""
