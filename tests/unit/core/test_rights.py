"""The member's rules, from the enabled types; and the names that join builds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import naming, rights
from federation.model.errors import Invalid
from federation.model.federated import FederatedType
from federation.model.resources import ObjectName, Resource

VERBS = ["create", "delete", "get", "list", "patch", "watch"]


def _type(plural: str, group: str = "") -> FederatedType:
    target = Resource(group, "v1", plural.title(), plural, namespaced=True)
    return FederatedType(target.qualified, target, Resource("types.kubefed.io", "v1beta1", "F", "f", namespaced=True))


BASE = [
    {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]},
]
CORE = ["configmaps", "persistentvolumeclaims", "pods", "secrets", "serviceaccounts", "services"]
TYPES = [
    _type("secrets"),
    _type("deployments", "apps"),
    *(_type(plural) for plural in ("services", "serviceaccounts", "configmaps", "persistentvolumeclaims", "pods")),
    _type("clusterroles", "rbac.authorization.k8s.io"),
]


def test_nothing_enabled_needs_the_probes_only() -> None:
    assert rights.member_rules([]) == BASE


def test_rules_are_least_and_grouped() -> None:
    assert rights.member_rules(TYPES) == [
        *BASE,
        {"apiGroups": [""], "resources": CORE, "verbs": VERBS},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": VERBS},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": VERBS},
    ]


@given(st.permutations(TYPES))
def test_order_and_repetition_do_not_matter(types: list[FederatedType]) -> None:
    assert rights.member_rules([*types, *types]) == rights.member_rules(TYPES)


def test_types_that_run_pods() -> None:
    assert rights.running_pods(TYPES) == ("deployments.apps", "pods")
    assert rights.running_pods([_type("jobs", "example.com"), _type("services")]) == ()


def test_escalation_is_asked_for_and_told() -> None:
    rules = rights.member_rules(TYPES, escalate=True)
    assert rules[-1]["verbs"] == sorted([*VERBS, "bind", "escalate"])
    assert all("escalate" not in rule["verbs"] for rule in rules[:-1])
    assert rights.escalates(TYPES) == ("clusterroles.rbac.authorization.k8s.io",)


def test_an_account_may_renew_only_its_own_token() -> None:
    assert rights.account_rules(ObjectName("kube-federation-system", "m1-host")) == [
        {"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": ["m1-host"], "verbs": ["create"]}
    ]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(
            'x is forbidden: User "u" cannot patch resource "deployments" in API group "apps" in the namespace "shop"',
            "patch deployments.apps in namespace shop",
            id="namespaced",
        ),
        pytest.param(
            'User "u" cannot list resource "nodes" in API group "" at the cluster scope', "list nodes", id="cluster"
        ),
        pytest.param(
            'User "u" cannot get resource "deployments/scale" in API group "apps"',
            "get deployments.apps/scale",
            id="subresource",
        ),
        pytest.param("exceeded quota", None, id="none"),
    ],
)
def test_the_right_that_is_missing(message: str, expected: str | None) -> None:
    assert rights.missing(message) == expected


def test_kubefeds_names() -> None:
    assert naming.service_account("m1", "host") == "m1-host"
    assert naming.role("m1", "host") == "kubefed-controller-manager:m1-host"


@given(st.text("ab.-", min_size=1, max_size=300), st.text("ab.-", min_size=1, max_size=300), st.integers(20, 253))
def test_cut_names_fit_and_stay_apart(one: str, other: str, limit: int) -> None:
    assert len(naming.fitted(one, limit)) <= limit
    assert (naming.fitted(one, limit) == naming.fitted(other, limit)) is (one == other)


def test_long_names_that_begin_alike_stay_two() -> None:
    names = {naming.service_account("c" * 250, host) for host in ("host-a", "host-b")}
    assert len(names) == 2
    assert all(len(name) == 253 for name in names)


@given(st.text(min_size=1, max_size=100), st.text(min_size=1, max_size=100))
def test_any_text_gives_a_label_of_its_own(one: str, other: str) -> None:
    label = naming.dns_label(one)
    assert 0 < len(label) <= 63
    assert naming.cluster_name(label) == label
    assert "." not in label
    assert (label == naming.dns_label(other)) is (one == other)


@pytest.mark.parametrize("name", ["arn:aws:eks:1/East", "UP", "-x", "x-", "a..b", "x" * 254])
def test_a_name_that_is_none_is_refused_with_one_that_would_do(name: str) -> None:
    with pytest.raises(Invalid, match="for example") as caught:
        naming.cluster_name(name, "NAME")
    assert caught.value.field == "NAME"


def test_no_name_is_no_name() -> None:
    with pytest.raises(Invalid, match="is required"):
        naming.cluster_name("")
