"""What a Lease says, and what is written into it."""

from typing import Any

import pytest

from federation.core import leadership
from federation.core.leadership import Lease, Standing
from federation.model.federated import Metadata, StoredObject
from federation.model.settings import LeaderElection

NUMBERS = LeaderElection(15.0, 10.0, 5.0)
AT = 1_800_000_000.25
MINE = Lease("u", "7", "me", 15.0, "then", "now", 3)


def stored(spec: Any) -> StoredObject:
    return StoredObject(Metadata("kubefed-controller-manager", "system", uid="u", resource_version="7"), spec)


def test_it_is_read_as_client_go_writes_it() -> None:
    spec = {
        "holderIdentity": "me",
        "leaseDurationSeconds": 15,
        "acquireTime": "then",
        "renewTime": "now",
        "leaseTransitions": 3,
    }
    assert leadership.read(stored(spec)) == MINE


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"holderIdentity": None, "leaseDurationSeconds": None},
        {"holderIdentity": 7, "leaseDurationSeconds": "15", "leaseTransitions": True, "renewTime": []},
        {"leaseDurationSeconds": -1, "leaseTransitions": -7},
        {"leaseDurationSeconds": 1e300, "leaseTransitions": 10**40},
    ],
)
def test_nonsense_is_nothing(spec: Any) -> None:
    found = leadership.read(stored(spec))
    assert found == Lease("u", "7")
    assert leadership.promised(found, NUMBERS) == 15.0


def test_the_longer_promise_counts() -> None:
    assert leadership.promised(Lease("u", "1", "other", 60.0), NUMBERS) == 60.0
    assert leadership.promised(Lease("u", "1", "other", 2.0), NUMBERS) == 15.0


def test_taking_it_counts_a_transition_and_renewing_does_not() -> None:
    taken = leadership.claim(Lease("u", "7", "other", transitions=3), "me", NUMBERS, AT)
    assert taken == {
        "holderIdentity": "me",
        "leaseDurationSeconds": 15,
        "renewTime": "2027-01-15T08:00:00.250000Z",
        "acquireTime": "2027-01-15T08:00:00.250000Z",
        "leaseTransitions": 4,
    }
    renewed = leadership.claim(MINE, "me", NUMBERS, AT)
    assert renewed == taken | {"acquireTime": "then", "leaseTransitions": 3}


def test_a_fraction_of_a_second_is_rounded_up() -> None:
    """Who reads it waits for at least as long as its holder counts on it."""
    assert leadership.claim(None, "me", LeaderElection(2.1, 1.0, 0.5), AT)["leaseDurationSeconds"] == 3


@pytest.mark.parametrize(
    ("found", "standing"),
    [
        pytest.param(Lease("u", "9", "me", transitions=3), Standing.OURS, id="annotated"),
        pytest.param(Lease("v", "9", "me", transitions=0), Standing.OURS, id="made anew"),
        pytest.param(Lease("u", "9", "other", transitions=4), Standing.LOST, id="taken"),
        pytest.param(Lease("u", "9", "other", transitions=3), Standing.LOST, id="edited by hand"),
        pytest.param(Lease("u", "9", "", transitions=3), Standing.LOST, id="freed by hand"),
        pytest.param(Lease("v", "9", "other", transitions=0), Standing.LOST, id="deleted and taken"),
        pytest.param(Lease("u", "5", "other", transitions=2), Standing.OLDER, id="of a backup"),
    ],
)
def test_what_it_means_that_it_is_not_as_we_left_it(found: Lease, standing: Standing) -> None:
    assert leadership.standing(found, MINE) is standing


@pytest.mark.parametrize(
    ("identity", "host"),
    [
        ("kubefed-controller-7d5f-x2x_5f0c0c9e-6b0f-4d2a", "kubefed-controller-7d5f-x2x"),
        ("a_b_abc-1-2-3", "a_b"),
        ("somebody", "somebody"),
        ("", ""),
    ],
)
def test_the_host_of_a_holder(identity: str, host: str) -> None:
    assert leadership.host(identity) == host


def test_each_shard_has_a_lease() -> None:
    assert leadership.lease_name() == "kubefed-controller-manager"
    assert leadership.lease_name(2) == "kubefed-controller-manager-2"
