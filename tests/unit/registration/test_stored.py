"""What an agent does next about its credentials, by what its member's Secrets hold."""

import base64
from typing import Any

import pytest

from federation.kube import kubeconfig
from federation.registration import certificates, names, stored
from federation.registration.stored import Ask, Bootstrap, Held, Look, Pending, Rest, next_step

BOOTSTRAP = Bootstrap("u1", "east", "a1", b"config")
GOOD = Held("1", "east", "a1", 1000.0, 2000.0, b"config")
RENEWS = Pending("csr", stored.RENEWAL, b"key")
FIRST = Pending("csr", "u1", b"key")


def held(**changes: Any) -> Held:
    return Held(**{each: getattr(GOOD, each) for each in Held.__dataclass_fields__} | changes)


@pytest.mark.parametrize(
    ("found", "bootstrap", "now", "step"),
    [
        pytest.param(Held(), BOOTSTRAP, 0.0, Ask(BOOTSTRAP), id="registers-for-the-first-time"),
        pytest.param(Held("1", pending=FIRST), BOOTSTRAP, 0.0, Look(FIRST, BOOTSTRAP), id="waits-for-the-answer"),
        pytest.param(GOOD, None, 1500.0, Rest(1800.0), id="rests"),
        pytest.param(GOOD, None, 1800.0, Ask(None), id="renews"),
        pytest.param(held(pending=RENEWS), None, 1900.0, Look(RENEWS, None), id="waits-for-its-renewal"),
        pytest.param(held(pending=FIRST), None, 1500.0, Rest(1800.0), id="what-it-waited-for-was-taken-back"),
        pytest.param(held(pending=FIRST), None, 1900.0, Ask(None), id="and-it-renews-nevertheless"),
        pytest.param(GOOD, BOOTSTRAP, 1500.0, Ask(BOOTSTRAP), id="is-registered-anew-though-all-is-well"),
        pytest.param(GOOD, BOOTSTRAP, 9999.0, Ask(BOOTSTRAP), id="is-registered-anew-after-its-end"),
        pytest.param(held(pending=RENEWS), BOOTSTRAP, 1900.0, Ask(BOOTSTRAP), id="anew-goes-before-a-renewal"),
        pytest.param(
            held(pending=Pending("csr", "u0", b"k")),
            BOOTSTRAP,
            1500.0,
            Ask(BOOTSTRAP),
            id="by-another-token-than-before",
        ),
    ],
)
def test_what_is_next(found: Held, bootstrap: Bootstrap | None, now: float, step: object) -> None:
    assert next_step(found, bootstrap, now, 0.5) == step


def test_what_cannot_go_on_says_what_to_do() -> None:
    nothing = next_step(Held(), None, 0.0, 0.5)
    assert isinstance(nothing, Rest)
    assert "fedctl token create" in nothing.problem
    ended = next_step(held(pending=RENEWS), None, 2000.0, 0.5)
    assert isinstance(ended, Rest)
    assert "the certificate of cluster east at the hub ended at 1970-01-01T00:33:20Z" in ended.problem


def secret(**changes: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", "uid": "u1", "resourceVersion": "7"}, **changes}


def test_what_register_writes_is_what_the_agent_reads() -> None:
    data = stored.bootstrap_data("east", "a1", "https://hub:6443", b"-----BEGIN CERTIFICATE-----", "a-token")
    found = stored.read_bootstrap(secret(data=data))
    assert found is not None
    assert (found.uid, found.cluster, found.agent) == ("u1", "east", "a1")
    assert "a-token" not in repr(found)
    endpoint = kubeconfig.stored({}, {"kubeconfig": base64.b64encode(found.kubeconfig).decode()})
    assert (endpoint.server, endpoint.credentials.header) == ("https://hub:6443", "Bearer a-token")


def test_a_certificate_is_kept_as_ocm_does_and_with_its_key() -> None:
    key = certificates.new_key()
    made = stored.with_certificate(
        "east", "a1", place={"server": "https://hub"}, certificate=b"cert", key=key, life=(1000.0, 2000.0)
    )
    assert set(made["data"]) >= {"kubeconfig", "tls.crt", "tls.key", "cluster-name", "agent-name"}
    kept = secret(data={name: value for name, value in made["data"].items() if value})
    kept["metadata"]["annotations"] = made["metadata"]["annotations"]
    found = stored.read(kept)
    assert (found.version, found.cluster, found.agent, found.begins, found.ends) == ("7", "east", "a1", 1000.0, 2000.0)
    assert key.decode() not in repr(found)
    endpoint = kubeconfig.stored({}, {"kubeconfig": base64.b64encode(found.kubeconfig).decode()})
    assert (endpoint.trust.certificate, endpoint.trust.key) == (b"cert", key)
    assert stored.cluster_of(found.kubeconfig) == {"server": "https://hub"}


def test_a_request_under_way_is_kept_with_its_key() -> None:
    made = stored.with_pending(FIRST)
    assert stored.read(secret(data=made["data"])).pending == FIRST
    assert set(stored.with_pending(None)["data"].values()) == {None}


@pytest.mark.parametrize(
    "content",
    [
        None,
        {},
        {"data": None},
        {"data": {"kubeconfig": "!"}},
        {"data": {"kubeconfig": "YQ==", "cluster-name": "Tk8=", "agent-name": "YQ=="}},
        {"data": {"kubeconfig": "YQ==", "pending-request": "YQ=="}},
    ],
)
def test_secrets_that_make_no_sense_hold_nothing(content: dict[str, Any] | None) -> None:
    found = secret(**content) if content is not None else None
    assert stored.read_bootstrap(found) is None
    assert (stored.read(found).kubeconfig, stored.read(found).pending) == (b"", None)


def test_the_secrets_are_ocms() -> None:
    assert (names.HUB_SECRET, names.BOOTSTRAP_SECRET) == ("hub-kubeconfig-secret", "bootstrap-hub-kubeconfig")
