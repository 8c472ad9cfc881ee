"""Refusals of RBAC: which right is missing, and who can give it, from Kubernetes' own sentences."""

import pytest

from federation.cli import rights

USER = 'User "system:serviceaccount:kube-federation-system:m1-host"'
LISTING = f'secrets is forbidden: {USER} cannot list resource "secrets" in API group "" at the cluster scope'
PATCHING = (
    f'deployments.apps "web" is forbidden: {USER} cannot patch resource "deployments" in API group "apps" in the '
    'namespace "shop"'
)
GRANTING = (
    f'roles.rbac.authorization.k8s.io "r" is forbidden: {USER} is attempting to grant RBAC permissions not currently '
    'held: {APIGroups:[""], Resources:["pods"], Verbs:["get"]}'
)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(LISTING, "the right to list secrets, or", id="cluster"),
        pytest.param(PATCHING, "the right to patch deployments.apps in namespace shop, or", id="namespace"),
        pytest.param(GRANTING, "nobody can grant rights that they do not have", id="escalation"),
    ],
)
def test_a_users_own_rights(message: str, expected: str) -> None:
    assert expected in rights.hint(message)


def test_other_refusals_are_not_about_rights() -> None:
    assert rights.hint('pods "x" is forbidden: exceeded quota: small') == ""
    assert not list(rights.of_members({"m1": "exceeded quota", "m2": ""}))


def test_the_controllers_rights_are_named_once_with_the_clusters_that_lack_them() -> None:
    text = list(rights.of_members({"m1": PATCHING, "m2": PATCHING, "m3": GRANTING}))
    assert text == [
        "the controller may not patch deployments.apps in namespace shop in m1, m2: run fedctl enable for the type "
        "again, or grant it all rights: fedctl join NAME --error-on-existing=false --rights all",
        "m3: a role that grants more rights than the controller has there is refused; grant it all rights: "
        "fedctl join m3 --error-on-existing=false --rights all",
    ]
