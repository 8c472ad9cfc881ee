"""Keys, requests and certificates, and when they are renewed."""

import pytest

from federation.model.errors import Unusable
from federation.playground import pki
from federation.registration import certificates, names, renewal
from federation.registration.asking import Unreadable

LONG = "a-cluster-with-a-name-of-many-characters-as-some-people-like-it"


def test_a_request_asks_for_exactly_what_the_rules_allow() -> None:
    key = certificates.new_key()
    found = certificates.contents(certificates.request(key, LONG, "0" * 36))
    assert found.common_names == (f"system:open-cluster-management:{LONG}:{'0' * 36}",), "longer than X.520 allows"
    assert found.organizations == (f"system:open-cluster-management:{LONG}", names.COMMON_GROUP)
    assert (found.signed, found.extensions, found.other_attributes) == (True, (), ())
    assert key not in certificates.request(key, LONG, "a")


def test_a_certificate_says_when_it_ends_and_whose_it_is() -> None:
    ca = pki.authority("hub")
    pair = pki.client(ca, "system:open-cluster-management:east:a", (names.group("east"),))
    found = certificates.issued(pair.certificate + ca.certificate)
    assert found.common_name == "system:open-cluster-management:east:a"
    assert found.begins < found.ends
    assert certificates.fits(pair.certificate, pair.key)
    assert not certificates.fits(pair.certificate, certificates.new_key())
    assert not certificates.fits(b"", pair.key)


def test_what_cannot_be_read_says_so() -> None:
    with pytest.raises(Unusable, match="private key"):
        certificates.request(b"-----BEGIN PRIVATE KEY-----\n", "east", "a")
    with pytest.raises(Unusable, match="certificate"):
        certificates.issued(b"")
    with pytest.raises(Unusable, match="CA bundle"):
        certificates.pins(b"")
    with pytest.raises(Unreadable):
        certificates.contents(b"\xff")


def test_renewal_comes_when_about_a_fifth_of_its_life_is_left() -> None:
    assert renewal.due(0, 1000, 0.0) == 750
    assert renewal.due(0, 1000, 1.0) == 850
    assert renewal.due(500, 1500, 0.5) == pytest.approx(1300)


def test_tries_come_more_seldom_and_never_too_late() -> None:
    waits = [renewal.again(tries, left=1e6, jitter=0.5) for tries in range(20)]
    assert waits[0] == renewal.SOONEST
    assert waits == sorted(waits)
    assert waits[-1] == 3600.0
    assert renewal.again(19, left=100, jitter=0.5) == 25
    assert renewal.again(19, left=0, jitter=0.5) == renewal.SOONEST


def test_a_certificate_that_has_ended_is_told_with_the_remedy() -> None:
    told = renewal.ended("east", 0)
    assert "1970-01-01T00:00:00Z" in told
    assert all(verb in told for verb in ("fedctl token create", "fedctl register", "fedctl accept"))
