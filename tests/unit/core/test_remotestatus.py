"""What is taken over of a member object's status: its form, its limits, and what must not be in it."""

from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import remotestatus
from federation.core.managedfields import PartialMetadata
from federation.model.observations import Collected
from federation.model.resources import SECRETS, Resource
from federation.model.statusrules import StatusCollection

WIDGETS = Resource("example.io", "v1", "Widget", "widgets", namespaced=True)
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
RAW = StatusCollection(raw=True)
META = PartialMetadata("web", "shop", "uid", "17", 3)
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl"


def collect(item: Any, resource: Resource = WIDGETS, wanted: StatusCollection = RAW) -> Collected:
    return remotestatus.collect(META, orjson.dumps(item), resource, wanted)


def remote(status: Any) -> Any:
    raw = collect({"spec": {}, "status": status}).raw
    return None if raw is None else orjson.loads(bytes(raw))


@pytest.mark.parametrize(
    ("status", "taken"),
    [
        pytest.param({"b": 1, "a": [1, {"c": "x"}]}, {"a": [1, {"c": "x"}], "b": 1}, id="as-it-is"),
        pytest.param({}, {}, id="empty"),
        pytest.param(None, None, id="none"),
        pytest.param({"a": None, "b": [None, {"c": None}]}, {"b": [{}]}, id="nulls-which-a-schema-refuses"),
        pytest.param({"a": 1.0, "b": 1.5, "c": True, "d": 1e300}, {"a": 1, "b": 1.5, "c": True, "d": 1e300}, id="go"),
        pytest.param("text", "text", id="no-map"),
        pytest.param([1], [1], id="a-list"),
    ],
)
def test_the_form(status: Any, taken: Any) -> None:
    assert remote(status) == taken


def test_without_a_status_there_is_none() -> None:
    assert collect({"spec": {"a": 1}}).raw is None
    assert collect({"data": {"a": "b"}}, CONFIGMAPS) == Collected(17)


def test_nothing_but_the_status_is_taken() -> None:
    item = {
        "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hush"}},
        "spec": {"password": "hush"},
        "data": {"a": "hush"},
        "status": {"phase": "Running"},
    }
    found = collect(item)
    assert b"hush" not in bytes(found.raw or b"")
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    "status",
    [
        {"password": "hush"},
        {"adminPassword": "hush"},
        {"atProvider": {"masterUserPassword": "hush"}},
        {"users": [{"clientSecret": "hush"}]},
        {"secretAccessKey": "hush"},
        {"kubeconfig": "hush"},
        {"token": "hush"},
        {"bootstrapToken": "hush"},
        {"api_key": "hush"},
        {"connectionString": "hush"},
        {"message": "could not use Bearer hush.hush.hush"},
        {"message": f"signed with {TOKEN}", "hidden": TOKEN},
        {"output": f"key: {PEM}"},
        {"url": "postgres://admin:hush@db:5432/shop"},
    ],
)
def test_what_may_be_a_secret_is_hidden(status: Any) -> None:
    shown = orjson.dumps(remote(status)).decode()
    assert "hush" not in shown
    assert TOKEN not in shown
    assert "MIIE" not in shown
    assert remotestatus.HIDDEN in shown


@pytest.mark.parametrize(
    "status",
    [
        {"secretName": "db-credentials-x", "secretRef": {"name": "db"}, "secret": "db"},
        {"continueToken": "", "tokenExpirationSeconds": 3600, "password": None},
        {"url": "https://example.io:443/path", "message": "Basic checks passed", "image": "web@sha256:00"},
        {"credentials": {"secretName": "db"}},
    ],
)
def test_what_names_a_secret_is_shown(status: Any) -> None:
    assert remote(status) == {name: value for name, value in status.items() if value is not None}


def test_limits() -> None:
    large = collect({"status": {"a": "x" * 40_000}})
    assert (large.raw, large.left_out) == (None, "its 39 KiB are more than the 32 that are taken over")
    nested: Any = {}
    for _ in range(60):
        nested = {"a": nested}
    deep = collect({"status": nested})
    assert (deep.raw, deep.left_out) == (None, "it nests deeper than 50 levels")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"status": 1e400}', b'{"status": "\xff"}', b'{"status": {"a"', b"{" * 9]
)
def test_what_cannot_be_read_says_so(content: bytes) -> None:
    found = remotestatus.collect(META, content, DEPLOYMENTS, RAW)
    assert found.unhealthy == "its status cannot be read"
    assert found.left_out == "it cannot be read"
    assert found.raw is None


def test_without_the_gate_only_what_it_means_is_kept() -> None:
    item = {"spec": {"replicas": 3}, "status": {"observedGeneration": 3, "readyReplicas": 2, "updatedReplicas": 3}}
    found = collect(item, DEPLOYMENTS, StatusCollection())
    assert found == Collected(17, 3, 2, 3, "0 of 3 replicas are available")


def test_secrets_are_never_collected() -> None:
    from federation.core import statusrules  # noqa: PLC0415

    assert statusrules.collection({"statusCollection": "Enabled"}, SECRETS) is None
    assert statusrules.collection({"statusCollection": "Enabled"}, WIDGETS) == StatusCollection()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(JSON)
def test_what_is_written_reads_back_as_the_same_bytes(status: Any) -> None:
    """As the hub stores it, keys in another order: a controller that starts finds that nothing has changed."""
    raw = collect({"status": status}).raw
    if raw is None:
        assert status is None
        return
    stored = orjson.dumps(_reversed(orjson.loads(bytes(raw))))
    again = remotestatus.canonical(msgspec.Raw(stored))
    assert again == raw
    assert b"null" not in bytes(raw) or b"null" in orjson.dumps(status).replace(b":null", b"").replace(b",null", b"")


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _reversed(each) for name, each in reversed(value.items())}
    return [_reversed(each) for each in value] if isinstance(value, list) else value
