"""Whose a webhook configuration is, and who would write an object again."""

import datetime as dt
from typing import Any

import pytest

from federation.migrating import owners
from federation.migrating.facts import Standing

NOW = dt.datetime(2026, 1, 1, 0, 1, tzinfo=dt.UTC)
HERE = "kube-federation-system"


def hook(*groups: str, namespace: str = HERE, service: str = "kubefed-admission-webhook", path: str = "/x") -> Any:
    client = {"service": {"namespace": namespace, "name": service, "path": path}}
    return {"clientConfig": client, "rules": [{"apiGroups": list(groups)}]}


CORE = "core.kubefed.io"
AGGREGATED = {"namespace": "default", "service": "kubernetes", "path": "/apis/validation.core.kubefed.io/v1beta1/x"}


@pytest.mark.parametrize(
    ("webhooks", "expected"),
    [
        pytest.param([hook(CORE), hook(CORE)], Standing.KUBEFEDS, id="kubefeds"),
        pytest.param([hook(CORE, **AGGREGATED)], Standing.KUBEFEDS, id="through-an-apiservice"),
        pytest.param([hook(CORE, namespace="team-a")], Standing.ANOTHERS, id="another-control-plane"),
        pytest.param([hook(CORE), hook(CORE, namespace="team-a")], Standing.MIXED, id="two-control-planes"),
        pytest.param([hook(CORE), hook("apps")], Standing.MIXED, id="among-others"),
        pytest.param([hook(CORE, "apps")], Standing.MIXED, id="one-rule-for-both"),
        pytest.param([hook("apps")], None, id="not-concerned"),
        pytest.param([hook("*", namespace="kyverno")], None, id="a-policy-engine"),
        pytest.param([], None, id="empty"),
    ],
)
def test_whose_a_configuration_is(webhooks: list[Any], expected: Standing | None) -> None:
    assert owners.standing({"kind": "ValidatingWebhookConfiguration", "webhooks": webhooks}, HERE) is expected


def test_a_webhook_by_url_is_not_taken_for_kubefeds() -> None:
    found = hook(CORE) | {"clientConfig": {"url": "https://policy.example.com"}}
    assert owners.standing({"webhooks": [found]}, HERE) is Standing.ANOTHERS


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"group": "validation.core.kubefed.io", "service": {"namespace": HERE}}, Standing.KUBEFEDS),
        ({"group": "mutation.core.kubefed.io", "service": {"namespace": "team-a"}}, Standing.ANOTHERS),
        ({"group": "core.kubefed.io"}, None),
        ({"group": "metrics.k8s.io", "service": {"namespace": HERE}}, None),
    ],
)
def test_whose_an_apiservice_is(spec: dict[str, Any], expected: Standing | None) -> None:
    assert owners.standing({"kind": "APIService", "spec": spec}, HERE) is expected


@pytest.mark.parametrize(
    ("labels", "annotations", "expected"),
    [
        ({}, {}, ""),
        ({"app.kubernetes.io/managed-by": "Helm"}, {"meta.helm.sh/release-name": "fed"}, "the Helm release fed"),
        (
            {"helm.toolkit.fluxcd.io/name": "fed"},
            {"meta.helm.sh/release-name": "fed"},
            "Flux's HelmRelease fed",
        ),
        ({"kustomize.toolkit.fluxcd.io/name": "infra"}, {}, "Flux's Kustomization infra"),
        ({}, {"argocd.argoproj.io/tracking-id": "fed:apps/Deployment:ns/x"}, "the Argo CD application fed"),
    ],
)
def test_who_would_write_it_again(labels: dict[str, str], annotations: dict[str, str], expected: str) -> None:
    assert owners.keeper({"metadata": {"labels": labels, "annotations": annotations}}) == expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ('{"holderIdentity":"pod-1_uuid","leaseDurationSeconds":15,"renewTime":"2026-01-01T00:00:55Z"}', "pod-1"),
        ('{"holderIdentity":"pod-1_uuid","leaseDurationSeconds":15,"renewTime":"2026-01-01T00:00:00Z"}', ""),
        ('{"holderIdentity":"","leaseDurationSeconds":15,"renewTime":"2026-01-01T00:00:55Z"}', ""),
        ('{"holderIdentity":"pod-1_uuid","leaseDurationSeconds":"x","renewTime":"2026-01-01T00:00:55Z"}', ""),
        ('{"holderIdentity":"pod-1_uuid","leaseDurationSeconds":15,"renewTime":null}', ""),
        ("[]", ""),
        ("{", ""),
        ("", ""),
    ],
)
def test_who_holds_kubefeds_lock(record: str, expected: str) -> None:
    found = {"metadata": {"annotations": {"control-plane.alpha.kubernetes.io/leader": record}}}
    assert owners.lock_holder(found, NOW) == expected
    assert owners.lock_holder({}, NOW) == ""


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([("federation-controller-leader-election", "2026-01-01T00:00:02Z")], True),
        ([("kubefed-leader-election", "2026-01-01T00:00:02Z")], False),
        (
            [("kubefed-leader-election", "2026-01-01T00:00:01Z"), ("federation-controller", "2026-01-01T00:00:02Z")],
            True,
        ),
        ([("federation-controller", "2026-01-01T00:00:01Z"), ("controller-manager", "2026-01-01T00:00:02Z")], False),
        ([], False),
    ],
)
def test_whose_lease_it_is(entries: list[tuple[str, str]], expected: bool) -> None:
    lease = {"metadata": {"managedFields": [{"manager": manager, "time": time} for manager, time in entries]}}
    assert owners.is_of_this_project(lease) is expected
