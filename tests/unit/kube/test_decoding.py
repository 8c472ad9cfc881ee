"""What API servers answer, decoded no deeper than its reader needs."""

import msgspec
import orjson
import pytest

from federation.kube import decoding
from federation.model.resources import ObjectName

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
