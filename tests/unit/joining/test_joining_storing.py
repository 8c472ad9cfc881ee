"""Joining again: what a second join changes at the host, and what it leaves as it found it."""

from typing import Any

import pytest

from federation.core import binding
from federation.joining import objects, storing
from federation.joining.errors import Refused
from federation.joining.objects import Wanted

ASKED = {"apiEndpoint": "https://east", "caBundle": "Q0E=", "secretRef": {"name": "s"}}


def stored(**parts: Any) -> dict[str, Any]:
    """A KubeFedCluster that lived a while: joined, labelled, and tended by its people since."""
    return {
        "apiVersion": "core.kubefed.io/v1beta1",
        "kind": "KubeFedCluster",
        "metadata": {
            "name": "east",
            "namespace": "sys",
            "uid": "u",
            "labels": {"region": "eu", "team": "a"},
            "annotations": {"kubefed.io/cluster-uid": "uid", "example.com/own": "x"},
        },
        "spec": {**ASKED, **parts},
    }


def manifest(labels: dict[str, str] | None = None, spec: dict[str, Any] | None = None) -> dict[str, Any]:
    wanted = Wanted("east", "host", "sys", labels=labels or {}, rights="types")
    return objects.cluster_manifest(wanted, spec or ASKED, "uid")


def test_what_is_not_told_stays() -> None:
    made = storing.patch(stored(), manifest())
    assert "spec" not in made
    assert made == {
        "metadata": {"annotations": {"kubefed.io/service-account": "east-host", "kubefed.io/rights": "types"}}
    }


def test_labels_are_added_and_changed_and_never_taken() -> None:
    made = storing.patch(stored(), manifest({"region": "us", "tier": "edge", "team": "a"}))
    assert made["metadata"]["labels"] == {"region": "us", "tier": "edge"}


def test_nothing_to_change_is_no_patch() -> None:
    found = stored()
    found["metadata"]["annotations"] |= manifest()["metadata"]["annotations"]
    assert storing.patch(found, manifest({"region": "eu"})) == {}
    assert storing.changes(found, manifest()) == ["unchanged"]


def test_changes_are_told_field_by_field_without_secrets() -> None:
    wanted = manifest({"tier": "edge"}, {**ASKED, "apiEndpoint": "https://new", "caBundle": "TkVX"})
    lines = storing.changes(stored(proxyURL="http://user:hunter2@proxy"), wanted)
    assert "spec.apiEndpoint: https://east -> https://new" in lines
    assert "metadata.labels[tier]: <none> -> edge" in lines
    assert "spec.caBundle: changed" in lines
    assert "spec.proxyURL: removed" in lines
    secret = objects.secret_manifest(Wanted("east", "host", "sys"), "s", "hunter2", ASKED)
    lines += storing.changes({"metadata": {"name": "s"}, "data": {"token": "b2xk", "kubeconfig": "eA=="}}, secret)
    assert "data.kubeconfig: removed" in lines, "it would count over the new token"
    assert "data.token: changed" in lines
    assert not any(word in line for line in lines for word in ("hunter2", "b2xk", "TkVX"))
    assert storing.changes(None, secret) == ["would be created"]


PROXIED = {"proxyURL": "http://proxy", "disabledTLSValidations": ["SubjectName"], "caBundle": "T0xE"}
BARE = {"apiEndpoint": "https://east", "secretRef": {"name": "s"}}


@pytest.mark.parametrize("bound", [None, binding.place({**ASKED, **PROXIED})], ids=["kubefeds", "as-recorded"])
def test_fields_that_the_kubeconfig_does_not_name_are_kept(bound: dict[str, Any] | None) -> None:
    kept = storing.spec_after("east", BARE, {**ASKED, **PROXIED}, bound)
    assert kept.spec == {**BARE, **PROXIED}
    assert kept.notes == ()
    assert storing.spec_after("east", BARE, None, None).spec == BARE


def test_what_the_kubeconfig_names_is_taken_from_it() -> None:
    asked = {**ASKED, "proxyURL": "http://mine"}
    assert storing.spec_after("east", asked, {**ASKED, **PROXIED}, None).spec["proxyURL"] == "http://mine"
    assert storing.spec_after("east", asked, {**ASKED, **PROXIED}, None).spec["caBundle"] == "Q0E="


def test_a_join_confirms_no_change_that_would_lead_its_token_astray() -> None:
    bound = binding.place(ASKED)
    foreign = storing.spec_after("east", BARE, {**ASKED, "caBundle": "RVZJTA=="}, bound)
    assert "caBundle" not in foreign.spec
    with pytest.raises(Refused, match="turns TLS verification off"):
        storing.spec_after("east", ASKED, {**ASKED, "disabledTLSValidations": ["*"]}, bound)
    proxied = storing.spec_after("east", ASKED, {**ASKED, "proxyURL": "http://new"}, bound)
    assert proxied.spec["proxyURL"] == "http://new"
    assert "this join keeps it" in proxied.notes[0]


def test_a_manifest_for_git_has_what_the_object_has() -> None:
    """Whoever applies it server-side, or prunes by it, takes no label off."""
    found = stored()
    found["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = "{}"
    made = storing.merged(found, manifest({"region": "us"}))
    assert made["metadata"]["labels"] == {"region": "us", "team": "a"}
    assert made["metadata"]["annotations"] == {
        "kubefed.io/cluster-uid": "uid",
        "kubefed.io/service-account": "east-host",
        "kubefed.io/rights": "types",
        "example.com/own": "x",
    }
    assert storing.merged(None, manifest()) == manifest()
    assert "labels" not in manifest()["metadata"]


def test_the_place_where_a_cluster_is_reached_stays_as_a_whole() -> None:
    """Its CA belongs to its address; another way to the same cluster may have another."""
    found = stored(apiEndpoint="https://inside", caBundle="SU5T", proxyURL="http://proxy")
    made = storing.at_the_present_place({**ASKED, "disabledTLSValidations": ["*"]}, found)
    assert made == {
        "apiEndpoint": "https://inside",
        "caBundle": "SU5T",
        "proxyURL": "http://proxy",
        "secretRef": {"name": "s"},
    }
