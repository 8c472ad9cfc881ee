"""What a copy owns, by owner references, in whatever order it is listed."""

from hypothesis import given
from hypothesis import strategies as st

from federation.model.resources import PODS, ObjectName, Resource
from federation.seeing import owned
from federation.seeing.owned import REPLICA_SETS, Owned, Tree

CUSTOM = Resource("example.com", "v1", "App", "apps", namespaced=True)
CLUSTER_WIDE = Resource("example.com", "v1", "Zone", "zones", namespaced=False)


def thing(uid: str, *owners: str, resource: Resource = PODS) -> Owned:
    return Owned(resource, ObjectName("ns", uid), uid, {}, owners)


def test_types_below() -> None:
    assert owned.below(owned.DEPLOYMENTS) == (REPLICA_SETS, PODS)
    assert owned.below(Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)) == ()
    assert PODS in owned.below(CUSTOM)
    assert owned.below(CLUSTER_WIDE) == ()


@given(st.permutations([thing("rs", "root"), thing("pod", "rs"), thing("other", "elsewhere"), thing("deep", "pod")]))
def test_a_chain_is_taken_in_whatever_order_it_comes(found: list[Owned]) -> None:
    tree = Tree("ns", objects={"root": thing("root")})
    tree.take(found)
    assert sorted(tree.objects) == ["deep", "pod", "root", "rs"]


def test_a_circle_of_owners_is_no_endless_loop() -> None:
    tree = Tree("ns", objects={"root": thing("root")})
    tree.take([thing("a", "b"), thing("b", "a")])
    assert sorted(tree.objects) == ["root"]


def test_an_object_without_usable_references() -> None:
    item = {"metadata": {"name": "p", "uid": "1", "ownerReferences": [{"uid": ""}, "odd", {}], "labels": None}}
    assert owned.of(PODS, item).owners == ()
