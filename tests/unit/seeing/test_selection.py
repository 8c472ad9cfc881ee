"""Why a cluster is selected: the same as placement decides, for any placement, namespace and labels."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from federation.core import parsing, placement, selectors
from federation.core.facts import Facts, NamespaceFacts
from federation.kube import decoding
from federation.model.federated import FederatedObject, FederatedType
from federation.model.observations import Cluster, Missing
from federation.model.resources import Resource
from federation.seeing import selection

KIND = FederatedType(
    "configmaps",
    Resource("", "v1", "ConfigMap", "configmaps", namespaced=True),
    Resource("types.kubefed.io", "v1beta1", "FederatedConfigMap", "federatedconfigmaps", namespaced=True),
)
_KEYS, _VALUES = st.sampled_from(["region", "tier"]), st.sampled_from(["eu", "us", "edge"])
_LABELS = st.dictionaries(_KEYS, _VALUES, max_size=2)
_EXPRESSION = st.one_of(
    st.builds(
        lambda key, op, values: {"key": key, "operator": op, "values": values},
        _KEYS,
        st.sampled_from(["In", "NotIn"]),
        st.lists(_VALUES, min_size=1, max_size=2),
    ),
    st.builds(lambda key, op: {"key": key, "operator": op}, _KEYS, st.sampled_from(["Exists", "DoesNotExist"])),
)
_SELECTOR = st.fixed_dictionaries(
    {}, optional={"matchLabels": _LABELS, "matchExpressions": st.lists(_EXPRESSION, max_size=2)}
)
_NAMES = st.lists(st.sampled_from(["m1", "m2", "m3", "gone"]), max_size=3).map(
    lambda names: [{"name": name} for name in names]
)
PLACEMENTS = st.fixed_dictionaries({}, optional={"clusters": _NAMES, "clusterSelector": _SELECTOR})
FLEETS = st.fixed_dictionaries(dict.fromkeys(("m1", "m2", "m3"), _LABELS)).map(
    lambda found: {name: Cluster(name, labels, ready=True) for name, labels in found.items()}
)


def item(kind: str, name: str, spec: dict[str, Any]) -> FederatedObject:
    document = {"kind": kind, "metadata": {"name": name, "namespace": "shop", "uid": name}, "spec": spec}
    return decoding.federated(orjson.dumps(document))


def select(spec: dict[str, Any], clusters: dict[str, Cluster]) -> frozenset[str]:
    return placement.select(parsing.spec(orjson.dumps(spec), namespaces=True).placement, clusters)


@given(PLACEMENTS, PLACEMENTS, FLEETS)
def test_it_is_what_placement_decides(own: Any, spaces: Any, clusters: dict[str, Cluster]) -> None:
    space = item("FederatedNamespace", "shop", {"placement": spaces})
    within = NamespaceFacts(select({"placement": spaces}, clusters), lambda _: Missing.UNKNOWN, change="FN 'shop'")
    made = item("FederatedConfigMap", "settings", {"template": {}, "placement": own})
    facts = Facts(KIND, made, clusters, lambda _: Missing.UNKNOWN, namespace=within)
    found = selection.of(facts, space)
    wanted = select({"placement": own}, clusters) & select({"placement": spaces}, clusters)
    assert {name for name, each in found.items() if each.selected} == wanted
    assert all(each.because for each in found.values())


@given(_SELECTOR, _LABELS)
def test_what_is_unmet_is_what_does_not_match(selector: Any, labels: dict[str, str]) -> None:
    assert (selectors.unmet(selector, labels) == []) is selectors.matches(selector, labels)


def test_an_invalid_spec_is_unknown_not_unselected() -> None:
    made = item("FederatedConfigMap", "settings", {"template": {}, "placement": {"clusters": "odd"}})
    facts = Facts(KIND, made, {"m1": Cluster("m1")}, lambda _: Missing.UNKNOWN)
    found = selection.of(facts, None)["m1"]
    assert found.selected is None
    assert "spec.placement.clusters" in found.because


def test_a_namespace_that_is_not_federated_is_named() -> None:
    made = item("FederatedConfigMap", "settings", {"template": {}, "placement": {"clusters": [{"name": "m1"}]}})
    gone = NamespaceFacts(None, lambda _: Missing.UNKNOWN, change="FederatedNamespace 'shop' is not there")
    facts = Facts(KIND, made, {"m1": Cluster("m1")}, lambda _: Missing.UNKNOWN, namespace=gone)
    assert selection.of(facts, None)["m1"] == selection.Selected(False, "FederatedNamespace 'shop' is not there")
