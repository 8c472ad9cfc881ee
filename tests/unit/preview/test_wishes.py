"""Which documents are for the hub, and what they are of."""

from typing import Any

import pytest

from federation.model.errors import Invalid
from federation.model.resources import SECRETS, ObjectName, Resource
from federation.preview import wishes
from federation.preview.wishes import Given, Wish

CONFIGMAPS = Resource("types.kubefed.io", "v1beta1", "FederatedConfigMap", "federatedconfigmaps", namespaced=True)
WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Cluster",
        "names": {"kind": "Widget", "plural": "widgets"},
        "versions": [{"name": "v1"}, {"name": "v2"}],
    },
}


@pytest.mark.parametrize(
    ("document", "applied"),
    [
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}, True),
        ({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}, False),
        ({"apiVersion": "v1", "metadata": {"annotations": {"config.kubernetes.io/local-config": "true"}}}, False),
        ({"apiVersion": "v1", "metadata": None}, True),
        ({"metadata": {"annotations": []}}, True),
    ],
)
def test_what_is_for_the_hub(document: dict[str, Any], applied: bool) -> None:
    assert wishes.is_for_the_hub(document) is applied


def test_what_is_defined_beside() -> None:
    assert wishes.defined([WIDGETS, {"kind": "CustomResourceDefinition", "spec": {"versions": [1]}}]) == [
        Resource("example.com", "v1", "Widget", "widgets", namespaced=False),
        Resource("example.com", "v2", "Widget", "widgets", namespaced=False),
    ]


def test_a_kind_that_nobody_serves() -> None:
    given = Given("a.yaml:3", {"apiVersion": "types.kubefed.io/v1beta1", "kind": "FederatedConfigMaps"})
    with pytest.raises(Invalid, match=r"a.yaml:3: the hub serves no FederatedConfigMaps of types.kubefed.io/v1beta1"):
        wishes.resource_of(given, [CONFIGMAPS])


@pytest.mark.parametrize("metadata", [None, [], {}, {"name": ""}, {"name": 3}])
def test_a_document_without_a_name(metadata: Any) -> None:
    with pytest.raises(Invalid, match=r"metadata\.name is missing"):
        wishes.named(Given("a.yaml:1", {"kind": "X", "metadata": metadata}), namespaced=True, namespace="ns")


def test_a_federated_secret_is_one_whether_its_type_is_followed_or_not() -> None:
    """Of what holds a Secret's values no value is shown."""
    kept = Resource("vault.example.com", "v1", "Vault", "vaults", namespaced=True)
    federated = Resource("types.kubefed.io", "v1beta1", "FederatedSecret", "federatedsecrets", namespaced=True)
    assert wishes.is_secret(SECRETS, [])
    assert wishes.is_secret(federated, [])
    assert wishes.is_secret(kept, [kept])
    assert not wishes.is_secret(CONFIGMAPS, [kept])


def test_what_a_document_says_of_itself() -> None:
    metadata = {"name": "web", "uid": "u", "resourceVersion": "3", "managedFields": [], "labels": {"a": "b"}}
    given = Given("a.yaml:1", {"kind": "X", "metadata": metadata, "status": {"x": 1}})
    assert wishes.named(given, namespaced=True, namespace="ns").document == {
        "kind": "X",
        "metadata": {"name": "web", "namespace": "ns", "labels": {"a": "b"}},
    }


def test_two_documents_of_one_object() -> None:
    def wish(source: str) -> Wish:
        return Wish(Given(source, {}), CONFIGMAPS, ObjectName("ns", "web"), None, {})

    with pytest.raises(Invalid, match=r"b.yaml:2: federatedconfigmap ns/web is in a.yaml:1, too"):
        wishes.once([wish("a.yaml:1"), wish("b.yaml:2")])
