"""The answer to an apply is looked at once for all copies that are alike, and anew for one that is not."""

from typing import Any

import orjson
import pytest

from federation.controllers import inspecting
from federation.controllers.inspecting import Inspection, inspect
from federation.controllers.outcomes import Target
from federation.core import drops
from federation.kube import decoding
from federation.kube.members import Written
from federation.model.resources import SECRETS, ObjectName, Resource
from tests.fakes import FakeMember

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
OURS = "federation-controller-0123abcd"


def answer(uid: str = "1", *, fields: object = None, labels: object = None, **content: Any) -> Written:
    entry = {"manager": OURS, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields or {"f:data": {}}}
    metadata = {"name": "a", "uid": uid, "resourceVersion": uid, "labels": labels or {}, "managedFields": [entry]}
    body = orjson.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **content})
    return Written(True, decoding.partial(body), body)


def manifest(**content: Any) -> bytes:
    return orjson.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, **content})


def target(resource: Resource = CONFIG_MAPS) -> Target:
    return Target(FakeMember(OURS), resource, ObjectName("shop", "a"))


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What drops.compare was called with."""
    calls: list[object] = []
    compare = drops.compare

    def count(*arguments: Any) -> drops.Dropped:
        calls.append(arguments)
        return compare(*arguments)

    monkeypatch.setattr(drops, "compare", count)
    inspecting._remembered.cache_clear()
    return calls


async def test_copies_that_are_alike_are_compared_once(compared: list[object]) -> None:
    body = manifest(data={"a": "1"})
    for uid in ("1", "2", "3"):
        copy = answer(uid, data={"a": "1"}, status={"seen": uid})
        assert await inspect(body, target(), copy) == Inspection("", fully_owned=False)
    assert len(compared) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"data": {"a": "2"}},
        {"data": {"a": "1"}, "labels": {"app": "other"}},
        {"data": {"a": "1"}, "fields": {"f:data": {"f:a": {}}}},
    ],
)
async def test_what_differs_is_compared_anew(compared: list[object], other: dict[str, Any]) -> None:
    body = manifest(data={"a": "1"})
    await inspect(body, target(), answer("1", data={"a": "1"}))
    await inspect(body, target(), answer("2", **other))
    await inspect(manifest(data={"a": "3"}), target(), answer("1", data={"a": "1"}))
    assert len(compared) == 3


async def test_each_copy_has_its_own_message() -> None:
    body = manifest(data={"a": "1"})
    kept = await inspect(body, target(), answer("1", data={"a": "1"}))
    changed = await inspect(body, target(), answer("2", data={"a": "2"}))
    assert kept is not None
    assert not kept.dropped
    assert changed is not None
    assert drops.CHANGES in changed.dropped


async def test_an_owner_for_every_field_is_a_matter_of_types_with_defaults() -> None:
    body, copy = manifest(spec={"a": 1}), answer(fields={"f:spec": {"f:a": {}}}, spec={"a": 1})
    assert await inspect(body, target(CONFIG_MAPS), copy) == Inspection("", fully_owned=False)
    assert await inspect(body, target(DEPLOYMENTS), copy) == Inspection("", fully_owned=True)


async def test_no_secret_is_remembered(compared: list[object]) -> None:
    body = manifest(data={"a": "MQ=="})
    for uid in ("1", "2"):
        assert await inspect(body, target(SECRETS), answer(uid, data={"a": "MQ=="})) is not None
    assert len(compared) == 2


@pytest.mark.parametrize("asked", [{"a": "1"}, {"a": "1", "b": "2" * inspecting._SMALL}], ids=["small", "large"])
@pytest.mark.parametrize("is_", [{"a": "1"}, {"a": "1", "b": "2" * inspecting._SMALL}], ids=["small", "large"])
async def test_nothing_large_is_remembered(compared: list[object], asked: dict[str, str], is_: dict[str, str]) -> None:
    for uid in ("1", "2"):
        assert await inspect(manifest(data=asked), target(), answer(uid, data=is_)) is not None
    assert inspecting._remembered.cache_info().currsize == (asked == is_ == {"a": "1"})


async def test_nothing_is_concluded_from_what_was_not_requested_or_is_no_object() -> None:
    body = manifest(data={"a": "1"})
    assert await inspect(body, target(), Written(True, answer().metadata)) is None
    assert await inspect(body, target(), Written(True, answer().metadata, b"[]")) is None
