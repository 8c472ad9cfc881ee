"""What API servers answer, decoded no deeper than its reader needs."""

from typing import Any

import msgspec
import orjson
import pytest

from federation.kube import decoding
from federation.model.resources import ObjectName, Resource
from federation.model.statusrules import StatusCollection

FEDERATED = {
    "metadata": {"name": "web", "namespace": "ns", "generation": 3, "finalizers": ["f"], "managedFields": [{"a": 1}]},
    "spec": {"template": {"data": {"a": "b"}}},
    "status": {"observedGeneration": 2},
}


def test_a_federated_object_keeps_spec_and_status_as_bytes_of_its_own() -> None:
    line = orjson.dumps(FEDERATED)
    item = decoding.federated(line)
    assert item.where == ObjectName("ns", "web")
    assert orjson.loads(bytes(item.spec)) == FEDERATED["spec"]
    assert len(memoryview(item.spec).obj) < len(line)  # type: ignore[arg-type]
    assert decoding.federated(b'{"metadata":{"name":"web"}}').spec == msgspec.Raw()


def test_a_secrets_repr_shows_no_data() -> None:
    item = decoding.stored(orjson.dumps({"metadata": {"name": "s", "namespace": "ns"}, "data": {"k": "aHVudGVyMg=="}}))
    assert item.data == {"k": "aHVudGVyMg=="}
    assert repr(item) == "StoredObject(ns/s)"


def test_partial_metadata_keeps_managed_fields_undecoded() -> None:
    entry = {"manager": "kubefed-0123abcd", "operation": "Apply", "fieldsV1": {"f:data": {"f:a": {}}}}
    found = decoding.partial(
        orjson.dumps({"metadata": {"name": "web", "managedFields": [entry], "labels": {"kubefed.io/managed": "true"}}})
    )
    assert bytes(found.managed_fields[0].fields_v1) == b'{"f:data":{"f:a":{}}}'
    assert found.labels.managed == "true"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"{}", b'{"metadata":{}}', b'{"metadata":{"name":7}}'])
def test_anything_else_is_an_error_of_one_kind(content: bytes) -> None:
    for decode in (decoding.partial, decoding.metadata, decoding.federated, decoding.stored):
        with pytest.raises(msgspec.MsgspecError):
            decode(content)


DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
WHOLE = decoding.whole(DEPLOYMENTS, StatusCollection(raw=True))
STATUS = {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 2, "availableReplicas": 2}


def deployment(**more: Any) -> bytes:
    metadata = {"name": "web", "namespace": "shop", "resourceVersion": "7", "generation": 2}
    item = {"metadata": metadata, "spec": {"replicas": 3, "secret": "hush"}, "status": STATUS, **more}
    return orjson.dumps(item)


def test_of_a_whole_object_metadata_and_status_are_kept() -> None:
    found = WHOLE(deployment())
    assert (found.metadata.name, found.metadata.resource_version, found.broken) == ("web", "7", "")
    assert found.collected.raw is not None
    assert orjson.loads(bytes(found.collected.raw)) == STATUS
    assert (found.collected.ready, found.collected.desired, found.collected.version) == (2, 3, 7)
    assert found.collected.unhealthy == "2 of 3 replicas are available"
    assert b"hush" not in bytes(found.collected.raw)
    assert decoding.kept_whole(found, "kubefed-0")[1] > len(bytes(found.collected.raw))


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"spec": {"a": "x" * 300_000}}, id="long"),
        pytest.param({"spec": {"template": [[]] * 200_000}}, id="many-values"),
    ],
)
def test_a_long_object_has_its_status_all_the_same(odd: dict[str, Any]) -> None:
    found = WHOLE(deployment(**odd))
    assert found.collected.raw is not None
    assert found.collected.ready == 2


def test_a_status_that_cannot_be_read_breaks_no_metadata() -> None:
    for status in (b"[" * 150 + b"]" * 150, b'"\xff"', b'"\\ud800"', b"1e999"):
        content = deployment().replace(orjson.dumps(STATUS), status)
        found = WHOLE(content)
        assert (found.metadata.name, found.metadata.resource_version) == ("web", "7")
        assert found.collected.raw is None
        assert found.collected.left_out
