"""What `fedctl register` puts into a member, and which hub it believes; without a cluster."""

import base64
import dataclasses
from typing import Any

import pytest

from federation.joining import registering
from federation.joining.errors import Refused
from federation.joining.registering import Wanted
from federation.kube import kubeconfig
from federation.playground import pki
from federation.registration import certificates, names, stored
from federation.registration.invitations import Invitation

CA, OTHER = pki.authority("hub").certificate, pki.authority("other").certificate
(PIN,) = certificates.pins(CA)
INVITATION = Invitation("a-token", CA, ("configmaps", "deployments.apps"), "kube-federation-system")
NOTHING = stored.Held()


def wanted(**changes: Any) -> Wanted:
    return dataclasses.replace(Wanted("east", "https://hub:6443", INVITATION, (PIN,)), **changes)


def plan(present: stored.Held = NOTHING, **changes: Any) -> registering.Plan:
    asked = wanted(**changes)
    return registering.plan(asked, registering.hub_endpoint(asked), present)


def test_the_token_is_in_one_secret_and_nowhere_else() -> None:
    made = plan()
    found = stored.read_bootstrap(made.bootstrap)
    assert found is not None
    assert (found.cluster, found.agent) == ("east", made.agent)
    endpoint = kubeconfig.stored({}, {"kubeconfig": base64.b64encode(found.kubeconfig).decode()})
    assert (endpoint.server, endpoint.credentials.header) == ("https://hub:6443", "Bearer a-token")
    assert endpoint.trust.ca == CA
    for text in (repr(made), repr(wanted()), str(made.manifests)):
        assert "a-token" not in text
        assert "YS10b2tlbg" not in text


def test_the_agent_may_write_the_enabled_types_or_those_that_are_named() -> None:
    def groups(made: registering.Plan) -> set[tuple[str, str]]:
        (role,) = (each for each in made.manifests if each["kind"] == "ClusterRole")
        rules = [each for each in role["rules"] if "patch" in each["verbs"]]
        found = {(group, resource) for rule in rules for group in rule["apiGroups"] for resource in rule["resources"]}
        return {each for each in found if each[0] != "work.open-cluster-management.io"}

    assert groups(plan()) == {("", "configmaps"), ("apps", "deployments")}
    assert groups(plan(types=("secrets",))) == {("", "secrets")}


def test_a_deployment_only_with_an_image_and_it_registers_by_itself() -> None:
    assert not [each for each in plan().manifests if each["kind"] == "Deployment"]
    (made,) = (each for each in plan(image="x/fedctl:1").manifests if each["kind"] == "Deployment")
    container = made["spec"]["template"]["spec"]["containers"][0]
    assert not [each for each in container["args"] if each.startswith(("--hub-kubeconfig", "--cluster"))]
    assert "a-token" not in str(made)


def test_a_cluster_that_is_registered_anew_is_the_same_agent() -> None:
    assert plan(stored.Held("1", "east", "a1b2")).agent == "a1b2"
    assert plan().agent != plan().agent
    assert names.is_agent(plan().agent)
    with pytest.raises(Refused, match="registered as west"):
        plan(stored.Held("1", "west", "a1b2"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pins": (certificates.pins(OTHER)[0],)}, "has this --ca-hash"),
        ({"invitation": Invitation("a-token", b"", (), "x")}, "has this --ca-hash"),
        ({"pins": ("system",)}, "--ca-hash is system"),
        ({"hub": "http://hub"}, "is not https"),
    ],
)
def test_no_other_hub_is_believed(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message) as raised:
        registering.hub_endpoint(wanted(**changes))
    assert "a-token" not in str(raised.value)


def test_of_a_bundle_only_what_is_pinned_is_trusted() -> None:
    both = Invitation("a-token", OTHER + CA, (), "x")
    assert registering.hub_endpoint(wanted(invitation=both)).trust.ca == CA
    public = Invitation("a-token", b"", (), "x")
    assert registering.hub_endpoint(wanted(invitation=public, pins=("system",))).trust.ca is None
