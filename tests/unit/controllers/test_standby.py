"""A standby: what it follows, when it is ready, and what it hands over."""

import asyncio
from typing import Any

import orjson
import pytest

from federation.controllers.standby import Standby
from federation.kube import decoding
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType, StoredObject
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import (
    KUBEFED_CONFIGS,
    LEASES,
    PREFERENCES,
    ROLLOUTS,
    TYPE_CONFIGS,
    ObjectName,
    Resource,
)
from federation.model.settings import Settings
from tests.unit.virtualtime import settle

LEASE = "kubefed-controller-manager"
CONFIGMAPS = "/apis/types.kubefed.io/v1beta1/federatedconfigmaps"


class Watch:
    """A watch that the test feeds."""

    def __init__(self, path: str, sink: Any) -> None:
        self.path = path
        self.sink = sink
        self.synced = False
        self.failure: Failure | None = None
        self.version = ""
        self.running = False
        self.kicks = 0

    async def run(self) -> None:
        self.running = True
        try:
            await asyncio.Event().wait()
        finally:
            self.running = False

    def kick(self) -> None:
        self.kicks += 1

    def show(self, *items: Any, version: str = "7") -> None:
        self.sink.replace(list(items))
        self.synced, self.version = True, version


class Watches:
    """All that are followed, by their paths."""

    def __init__(self) -> None:
        self.by_path: dict[str, Watch] = {}
        self.names: list[str] = []

    def _made(self, path: str, sink: Any) -> Watch:
        made = self.by_path[path] = Watch(path, sink)
        return made

    def federated(self, enabled: FederatedType, sink: Any, on_change: Any) -> Watch:
        return self._made(enabled.federated.collection(enabled.namespace), sink)

    def system(self, resource: Resource, sink: Any) -> Watch:
        return self._made(resource.collection(SYSTEM_NAMESPACE), sink)

    def stored(self, resource: Resource, namespace: str, sink: Any, on_change: Any, *, name: str = "") -> Watch:
        self.names.append(name)
        return self._made(resource.collection(namespace), sink)

    def metadata(self, resource: Resource, sink: Any) -> Watch:
        return self._made(resource.collection(), sink)


def stored(name: str, spec: Any = None, namespace: str = SYSTEM_NAMESPACE) -> StoredObject:
    return decoding.stored(
        orjson.dumps({"metadata": {"name": name, "namespace": namespace, "uid": name}, "spec": spec or {}})
    )


def type_config(kind: str, plural: str, **spec: Any) -> StoredObject:
    target = {"version": "v1", "kind": kind, "pluralName": plural, "scope": "Namespaced"}
    federated = {"group": "types.kubefed.io", "version": "v1beta1", "kind": f"Federated{kind}", "scope": "Namespaced"}
    return stored(plural, {"targetType": target, "federatedType": federated, "propagation": "Enabled", **spec})


class Stage:
    """A standby and the watches that it has opened."""

    def __init__(self) -> None:
        self.watches = Watches()
        self.elections: list[str] = []
        self.standby = Standby(
            self.watches, namespace=SYSTEM_NAMESPACE, lease=LEASE, settings=Settings(), elected=self._elected
        )
        self.standby.follow()

    def _elected(self, lease: StoredObject | None) -> None:
        self.elections.append(lease.metadata.resource_version if lease is not None else "none")

    async def show(self, resource: Resource, *items: StoredObject) -> None:
        self.watches.by_path[resource.collection(SYSTEM_NAMESPACE)].show(*items)
        await settle()

    @property
    def running(self) -> set[str]:
        return {path for path, watch in self.watches.by_path.items() if watch.running}


async def test_it_follows_the_enabled_types_and_no_other() -> None:
    stage = Stage()
    await asyncio.sleep(0)
    assert stage.standby.ready().endswith("has not been listed yet")
    await stage.show(
        TYPE_CONFIGS,
        type_config("ConfigMap", "configmaps"),
        type_config("Secret", "secrets", propagation="Disabled"),
        stored("nonsense", {"targetType": 3}),
    )
    assert CONFIGMAPS in stage.running
    assert ROLLOUTS.collection() in stage.running
    assert not any("federatedsecrets" in path for path in stage.running)
    await stage.show(TYPE_CONFIGS, type_config("Secret", "secrets"))
    assert CONFIGMAPS not in stage.running
    assert any("federatedsecrets" in path for path in stage.running)
    for watch in stage.watches.by_path.values():
        watch.synced = True
    assert stage.standby.ready() == ""
    await stage.standby.close()
    assert not stage.running


async def test_what_cannot_be_listed_keeps_nobody_from_being_ready() -> None:
    """Its type is not served, or a right is missing: a leader would wait for it, too."""
    stage = Stage()
    await stage.show(TYPE_CONFIGS, type_config("ConfigMap", "configmaps"))
    for watch in stage.watches.by_path.values():
        watch.synced = True
    late = stage.watches.by_path[CONFIGMAPS]
    late.synced = False
    assert stage.standby.ready() == f"{CONFIGMAPS} has not been listed yet"
    late.failure = Failure(FailureKind.TYPE_MISSING, "404")
    assert stage.standby.ready() == ""
    crds = stage.watches.by_path["/apis/apiextensions.k8s.io/v1/customresourcedefinitions"]
    crds.show()
    assert late.kicks == 1, "a definition has changed: perhaps it is served now"
    await stage.standby.close()


async def test_it_hands_over_what_it_has_and_up_to_where() -> None:
    stage = Stage()
    await stage.show(TYPE_CONFIGS, type_config("ConfigMap", "configmaps"))
    objects = stage.watches.by_path[CONFIGMAPS]
    bodies = [{"metadata": {"name": name, "namespace": "shop", "uid": name}, "spec": {}} for name in ("a", "b", "c")]
    a, b, c = (decoding.federated(orjson.dumps(body)) for body in bodies)
    objects.show(a, b, version="40")
    objects.sink.upsert(c)
    objects.sink.remove(a)
    objects.version = "43"
    kept = await stage.standby.hand_over()
    assert not stage.running
    assert kept[CONFIGMAPS].version == "43"
    assert kept[CONFIGMAPS].items == [b, c]
    assert set(kept) == {CONFIGMAPS, TYPE_CONFIGS.collection(SYSTEM_NAMESPACE)}, "what was not listed is listed anew"
    assert await stage.standby.hand_over() == {}


@pytest.mark.parametrize(
    ("spec", "period", "everywhere"),
    [
        pytest.param({"leaderElect": {"retryPeriod": "1s"}}, 1.0, True, id="numbers"),
        pytest.param({"scope": "Namespaced"}, 5.0, False, id="scope"),
        pytest.param(
            {"featureGates": [{"name": "SchedulerPreferences", "configuration": "Disabled"}]},
            5.0,
            True,
            id="gate",
        ),
        pytest.param({"leaderElect": {"leaseDuration": "1s"}}, 5.0, True, id="invalid"),
    ],
)
async def test_the_settings_hold_for_a_standby_too(spec: Any, period: float, everywhere: bool) -> None:
    stage = Stage()
    await stage.show(TYPE_CONFIGS, type_config("ConfigMap", "configmaps"))
    await stage.show(KUBEFED_CONFIGS, stored("kubefed", spec), stored("other", {"scope": "Namespaced"}))
    assert stage.standby.settings.leader_election.retry_period == period
    assert (CONFIGMAPS in stage.running) is everywhere
    assert (PREFERENCES.collection() in stage.running) is (everywhere and "featureGates" not in spec)
    assert ("/api/v1/namespaces" in stage.running) is everywhere, "with a Role alone it may not be followed"
    if not everywhere:
        assert f"/apis/types.kubefed.io/v1beta1/namespaces/{SYSTEM_NAMESPACE}/federatedconfigmaps" in stage.running
    await stage.standby.close()


async def test_it_shows_the_lease_of_its_name() -> None:
    stage = Stage()
    assert stage.watches.names[0] == LEASE
    watch = stage.watches.by_path[LEASES.collection(SYSTEM_NAMESPACE)]
    lease = decoding.stored(
        orjson.dumps({"metadata": {"name": LEASE, "namespace": SYSTEM_NAMESPACE, "resourceVersion": "9"}})
    )
    watch.show(lease)
    watch.sink.remove(lease)
    assert stage.elections == ["9", "none"]
    assert ObjectName(SYSTEM_NAMESPACE, LEASE) == lease.where
    await stage.standby.close()
