"""An object that does not fit is a fact about itself: named, with the reason, and whatever of its metadata is right.

Both sides: what a tenant's CRD lets in at the hub, what a member (or somebody in its place) sends.
"""

import json as stdlib
import time
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import managedfields, ownership, parsing
from federation.kube import decoding
from federation.model import bounds, marks
from federation.model.errors import Invalid
from federation.model.resources import ObjectName

US = "kubefed-0123abcd"
META = {
    "name": "web",
    "namespace": "ns",
    "uid": "u1",
    "resourceVersion": "7",
    "generation": 3,
    "labels": {marks.MANAGED_LABEL: "true"},
    "finalizers": [marks.SYNC_FINALIZER],
    "deletionTimestamp": "2026-01-01T00:00:00Z",
}
DEPTHS = [101, 250, 900, 990, 1_100, 5_000, 50_000]
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


def _nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def _poison(depth: int, metadata: dict[str, Any] | None = None) -> bytes:
    head = orjson.dumps({"metadata": metadata or META, "spec": {"placement": {"clusters": [{"name": "m1"}]}}})
    override = b',"overrides":[{"clusterName":"m1","clusterOverrides":[{"path":"/data","value":%s}]}]}}'
    return head[:-2] + override % _nested(depth)


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_federated_object_that_nests_too_deep_says_so_and_can_be_deleted(depth: int) -> None:
    item = decoding.federated(_poison(depth))
    assert (item.where, item.metadata.uid, item.metadata.resource_version) == (ObjectName("ns", "web"), "u1", "7")
    assert (item.metadata.generation, item.metadata.finalizers) == (3, (marks.SYNC_FINALIZER,))
    assert item.metadata.deletion_timestamp
    if item.broken:
        said = item.broken
    else:  # its bytes can be stepped over; it shows where they are read
        with pytest.raises(Invalid) as refused:
            parsing.spec(item.spec)
        said = str(refused.value)
    assert "deeper than 100 levels" in said
    assert "spec.overrides[0].clusterOverrides" in said


@pytest.mark.parametrize("depth", DEPTHS)
def test_what_else_the_hub_stores_is_bounded_the_same(depth: int) -> None:
    item = decoding.stored(_poison(depth))
    assert "deeper than 100 levels" in item.broken
    assert item.where == ObjectName("ns", "web")
    assert item.spec["placement"] == {"clusters": [{"name": "m1"}]}
    deep_elsewhere = orjson.dumps({"metadata": META})[:-1] + b',"spec":{"x":' + _nested(depth) + b"}}"
    assert not decoding.metadata(deep_elsewhere).broken  # what nests is none of it


@pytest.mark.parametrize("number", ["18446744073709551616", "100000000000000000000", "-9223372036854775809", "9" * 24])
def test_a_number_that_go_prints_of_a_float_can_be_written_back(number: str) -> None:
    """1e20 is stored as a float and served as 100000000000000000000, which no encoder takes as a whole number."""
    for rest in ("", ',"data":{"token":7}'):
        item = decoding.stored(f'{{"metadata":{stdlib.dumps(META)},"status":{{"x":{number}}}{rest}}}'.encode())
        assert orjson.loads(orjson.dumps(item.status)) == {"x": float(number)}


@pytest.mark.parametrize("depth", DEPTHS)
def test_somebody_elses_deep_fields_do_not_hide_ours(depth: int) -> None:
    """A member's custom resource with our label, into which somebody wrote a deep value: ours shows as ever."""
    ours = {"manager": US, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:a": {}}}}
    theirs = b'{"manager":"x","operation":"Update","fieldsType":"FieldsV1","fieldsV1":%s}' % (
        b'{"f:a":' * depth + b"{}" + b"}" * depth
    )
    plain = orjson.dumps({"metadata": {**META, "managedFields": [ours]}})
    whole = plain.replace(b'"managedFields":[', b'"managedFields":[' + theirs + b",")
    item = decoding.partial(whole)
    assert not item.broken
    expected = managedfields.observe(decoding.partial(plain), US)
    assert managedfields.observe(item, US) == expected
    kept, size = decoding.kept(item, US)
    assert managedfields.observe(kept, US) == expected
    assert size < 2_000
    # What cannot be read must not be written back: our entry goes by its place, theirs is not touched.
    assert ownership.subtract_patch(item, US) is None or depth <= bounds.DEEPEST_METADATA
    release = ownership.release_patch(item, US)
    assert release is not None
    if depth > bounds.DEEPEST_METADATA:
        assert {"op": "remove", "path": "/metadata/managedFields/1"} in release
        assert not any(step["path"] == "/metadata/managedFields" for step in release)
    orjson.dumps(release)


@pytest.mark.parametrize(
    "many",
    [
        {"managedFields": [{}] * 1_000_000},
        {"managedFields": [{"manager": "kubefed-00000000", "operation": "Apply"}] * 80_000},
        {"managedFields": [{"manager": "x"}] * 200_000, "generation": "3"},
        {"labels": {**{f"n{at}": "" for at in range(300_000)}, marks.MANAGED_LABEL: "true"}},
        {"annotations": {f"n{at}": "" for at in range(300_000)}},
    ],
    ids=["entries", "applies", "and-of-another-type", "labels", "annotations"],
)
def test_a_member_may_answer_more_than_any_object_has(many: dict[str, Any]) -> None:
    """What is decoded in one piece keeps the loop in whatever thread, so nothing is decoded that is not read."""
    content = orjson.dumps({"metadata": {**META, **many}})
    assert len(content) > 2 << 20
    before = time.process_time()
    item = decoding.partial(content)
    observed = managedfields.observe(item, US)
    spent = time.process_time() - before
    assert (item.name, item.uid, item.resource_version) == ("web", "u1", "7")
    assert bool(observed.broken) is ("managedFields" in many)
    assert observed.managed
    assert spent < 5.0 if "generation" in many else spent < 0.5


def test_a_long_object_of_few_managers_is_read() -> None:
    """A hundred thousand fields are somebody's right."""
    fields: dict[str, Any] = {f"f:n{at}": {} for at in range(100_000)}
    entries = [{"manager": US, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": fields}}] * 2
    item = decoding.partial(orjson.dumps({"metadata": {**META, "managedFields": entries}}))
    assert not item.broken
    assert len(item.managed_fields) == 2
    assert managedfields.observe(item, US).owned_digest


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": {marks.MANAGED_LABEL: 1}},
        {"labels": ["a"]},
        {"labels": "a"},
        {"generation": "3"},
        {"generation": -1},
        {"generation": 10**30},
        {"generation": 1.5},
        {"uid": 7},
        {"uid": "u" * 1_000},
        {"resourceVersion": 5},
        {"resourceVersion": "9" * 5_000},
        {"deletionTimestamp": {}},
        {"namespace": None},
    ],
    ids=str,
)
def test_metadata_of_the_wrong_type_is_a_reason_not_an_error(wrong: dict[str, Any]) -> None:
    content = msgspec.json.encode({"metadata": {**META, "deletionTimestamp": None, **wrong}, "spec": {"a": 1}})
    for decode in (decoding.federated, decoding.partial, decoding.stored, decoding.metadata):
        item: Any = decode(content)
        metadata = getattr(item, "metadata", item)
        assert item.broken
        assert metadata.name == "web"
        assert bool(metadata.deletion_timestamp) is ("deletionTimestamp" in wrong)
    observed = managedfields.observe(decoding.partial(content), US)
    assert observed.broken
    assert not observed.owned_digest


@pytest.mark.parametrize(
    "content",
    [
        b'{"metadata":{"name":"web","uid":"\xff\xfe"}}',
        b'{"metadata":{"name":"web","uid":"\\ud800"}}',
        b'{"metadata":{"name":"web","labels":{"a":"\\udc00"}}}',
        b'{"metadata":{"name":"web","generation":NaN}}',
        b'{"metadata":{"name":"web","generation":Infinity}}',
        b'{"metadata":{"name":"web","generation":1e400}}',
        b'{"metadata":{"name":"web","generation":' + b"9" * 5_000 + b"}}",
    ],
)
def test_what_is_hardly_json_is_named_all_the_same(content: bytes) -> None:
    for decode in (decoding.federated, decoding.partial, decoding.stored, decoding.metadata):
        item: Any = decode(content)
        assert item.broken
        assert item.broken.isprintable()
        assert getattr(item, "metadata", item).name == "web"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"metadata":null}',
        b'{"metadata":[]}',
        b'{"metadata":{"name":""}}',
        b'{"metadata":{"name":5}}',
        b'{"metadata":{"name":"a\\u001b[31m","uid":5}}',
        b'{"metadata":{"name":"' + b"a" * (1 << 20) + b'"}}',
        b"[" * 5_000,
        b'{"metadata":' * 5_000,
        _nested(5_000),
        b'{"metadata":{"name":"a"}} x',
    ],
    ids=range(14),
)
def test_what_has_no_name_is_no_object(content: bytes) -> None:
    for decode in (decoding.federated, decoding.partial, decoding.stored, decoding.metadata):
        with pytest.raises(msgspec.MsgspecError):
            decode(content)


@given(st.dictionaries(st.sampled_from([*META, "managedFields", "annotations", ""]), json, max_size=6), json, json)
def test_any_json_is_an_object_or_none(metadata: dict[str, Any], spec: Any, status: Any) -> None:
    # The standard library writes what no JSON is, too: NaN, infinities, halves of surrogate pairs.
    content = stdlib.dumps({"metadata": metadata, "spec": spec, "status": status}).encode()
    for decode in (decoding.federated, decoding.partial, decoding.stored, decoding.metadata):
        try:
            item: Any = decode(content)
        except msgspec.MsgspecError:
            name = metadata.get("name")
            assert not isinstance(name, str) or not name or not name.isprintable()
            continue
        assert getattr(item, "metadata", item).name == metadata["name"]
        if decode is decoding.partial:
            managedfields.observe(item, US)
            managedfields.observe(decoding.kept(item, US)[0], US)
            for patch in (ownership.union_patch, ownership.subtract_patch, ownership.release_patch):
                orjson.dumps(patch(item, US))


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_none(content: bytes) -> None:
    for decode in (decoding.federated, decoding.partial, decoding.stored, decoding.metadata):
        for body in (content, b'{"metadata":{"name":"a","uid":"' + content + b'"}}'):
            try:
                decode(body)
            except msgspec.MsgspecError:
                continue
