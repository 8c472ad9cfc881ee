"""What a CertificateSigningRequest of the hub is read as, and what a cluster's Lease shows."""

import base64
from typing import Any

import pytest

from federation.model.federated import DatedMetadata, StoredObject
from federation.registration import asking, heartbeats, names
from federation.registration.asking import State
from federation.registration.heartbeats import Beat

PEM = b"-----BEGIN CERTIFICATE REQUEST-----"


def stored(status: dict[str, Any] | None = None, **spec: Any) -> StoredObject:
    made = asking.manifest("csr-1", "east", PEM)
    labels = made["metadata"]["labels"]
    meta = DatedMetadata("csr-1", uid="u", labels=labels, creation_timestamp="2026-01-01T00:00:00Z")
    return StoredObject(meta, made["spec"] | {"username": "me", "groups": ["g"]} | spec, status or {})


def test_what_an_agent_creates_is_what_the_hub_reads() -> None:
    found = asking.read(stored())
    assert (found.name, found.uid, found.labelled, found.signer) == ("csr-1", "u", "east", names.SIGNER)
    assert (found.username, found.groups, found.pem, found.usages) == ("me", ("g",), PEM, asking.USAGES)
    assert (found.state, found.created) == (State.PENDING, "2026-01-01T00:00:00Z")
    assert asking.manifest("a", "east", PEM, seconds=600)["spec"]["expirationSeconds"] == 600


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({"conditions": [{"type": "Approved", "status": "True"}]}, State.APPROVED),
        ({"conditions": [{"type": "Approved"}], "certificate": base64.b64encode(b"x").decode()}, State.ISSUED),
        ({"conditions": [{"type": "Denied", "status": "True", "message": "no"}]}, State.DENIED),
        ({"conditions": [{"type": "Approved"}, {"type": "Failed", "message": "no"}]}, State.FAILED),
        ({"conditions": [{"type": "Approved", "status": "False"}]}, State.PENDING),
        ({"conditions": "x", "certificate": "!"}, State.PENDING),
    ],
)
def test_what_has_become_of_it(status: dict[str, Any], state: State) -> None:
    assert asking.read(stored(status)).state is state


def test_fields_of_another_type_count_as_absent() -> None:
    found = asking.read(stored(request=1, usages="x", groups=[1], username=None, signerName=[]))
    assert (found.pem, found.usages, found.groups, found.username, found.signer) == (b"", (), (), "", "")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("system:open-cluster-management:east:a1", ("east", "a1")),
        ("system:open-cluster-management:east", None),
        ("system:open-cluster-management:east:a:b", None),
        ("system:open-cluster-management::a", None),
        ("system:open-cluster-management:managed-clusters:a", None),
        ("system:open-cluster-management:a.b:c", None),
        ("system:serviceaccount:a:b", None),
    ],
)
def test_an_agents_name_has_two_parts(name: str, parts: tuple[str, str] | None) -> None:
    assert names.parts(name) == parts
    if parts is not None:
        assert names.user(*parts) == name


def lease(**spec: Any) -> Beat:
    return heartbeats.read(StoredObject(DatedMetadata(names.LEASE, namespace="east"), spec))


def test_a_beat_is_what_the_agent_writes() -> None:
    beat = lease(**heartbeats.spec("a1", 1000.0))
    assert (beat.holder, beat.seconds, beat.patience) == ("a1", 60, 300.0)
    assert heartbeats.heard_before(beat, 2000.0) == 1000.0
    assert heartbeats.heard_before(beat, 500.0) == 500.0, "an agent's clock that is ahead does not make it live longer"


@pytest.mark.parametrize("seconds", [None, 0, -1, True, "60", 10**9])
def test_a_lease_that_makes_no_sense_has_the_default(seconds: object) -> None:
    beat = lease(leaseDurationSeconds=seconds, renewTime="yesterday", holderIdentity=1)
    assert (beat.seconds, beat.holder, heartbeats.heard_before(beat, 1.0)) == (60, "", None)
