"""What a standby watches in members when the settings say so, and what it hands over of that."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from federation.controllers.ahead import Ahead
from federation.core import binding
from federation.model import marks
from federation.model.federated import Metadata, StoredObject
from federation.model.resources import ObjectName, collection_in
from federation.model.settings import Settings
from tests.unit.controllers.fleet import FakeGate, Site, read
from tests.unit.controllers.rig import CONFIGMAPS
from tests.unit.virtualtime import settle, virtual

SYSTEM = marks.SYSTEM_NAMESPACE
WARM = Settings(warm_standby=True)
DATA = {"token": "Zmlyc3Q="}


class Gatekeeper:
    """Opens fake gates, and remembers them."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.opened: list[FakeGate] = []

    def open(self, name: str, spec: Mapping[str, Any], secret: Mapping[str, str]) -> FakeGate:
        self.opened.append(FakeGate(*read(spec, secret), self.site))
        return self.opened[-1]


def hub(
    recorded: str = "uid-m1", *, of: str = "m1", place: str = "https://m1", data: Mapping[str, str] = DATA
) -> tuple[dict[ObjectName, StoredObject], dict[ObjectName, StoredObject]]:
    """A KubeFedCluster and its Secret."""
    where, secret = ObjectName(SYSTEM, "m1"), ObjectName(SYSTEM, "m1-secret")
    annotations = {marks.IDENTITY_ANNOTATION: recorded} if recorded else {}
    meta = Metadata(name="m1", namespace=SYSTEM, annotations=annotations)
    spec = {"apiEndpoint": place, "secretRef": {"name": "m1-secret"}}
    stored = StoredObject(meta, spec=spec)
    meta = Metadata(name="m1-secret", namespace=SYSTEM, annotations={binding.CLUSTER_ANNOTATION: of})
    return {where: stored}, {secret: StoredObject(meta, data=dict(data))}


async def shown(ahead: Ahead, settings: Settings = WARM, **how: Any) -> None:
    ahead.align(settings, *hub(**how), [CONFIGMAPS])
    await settle()


@virtual
async def test_it_watches_the_cluster_that_was_joined_and_hands_it_over() -> None:
    keeper = Gatekeeper(Site("uid-m1"))
    ahead = Ahead(keeper)
    labelled = {"metadata": {"labels": {marks.MANAGED_LABEL: "true"}}}
    keeper.site.member.post(CONFIGMAPS.target, ObjectName("ns", "web"), labelled)
    await shown(ahead)
    (gate,) = keeper.opened
    assert gate.watches["configmaps"].running
    kept = await ahead.hand_over()
    path = collection_in("m1", "uid-m1", "/api/v1/configmaps")
    assert [item.name for item in kept[path].items] == ["web"]
    assert kept[path].version == "7"
    assert (gate.closed, gate.watches["configmaps"].running) == (True, False)
    assert await ahead.hand_over() == {}


@virtual
async def test_nothing_is_asked_of_whom_it_may_not_ask() -> None:
    """The setting is off; the cluster was never accepted; the Secret is another's, or holds nothing."""
    keeper = Gatekeeper(Site("uid-m1"))
    ahead = Ahead(keeper)
    await shown(ahead, replace(WARM, warm_standby=False))
    ways: list[dict[str, Any]] = [{"recorded": ""}, {"of": "m2"}, {"data": {}}]
    for how in ways:
        await shown(ahead, **how)
    assert keeper.opened == []
    assert await ahead.hand_over() == {}


@virtual
async def test_another_cluster_is_not_watched_and_the_watches_end_when_one_appears() -> None:
    keeper = Gatekeeper(Site("uid-other"))
    ahead = Ahead(keeper)
    await shown(ahead)
    (gate,) = keeper.opened
    assert gate.watches == {}
    keeper.site.identity = "uid-m1"
    await asyncio.sleep(15)
    watch = gate.watches["configmaps"]
    seen = [watch.running]
    keeper.site.identity = "uid-other"
    await asyncio.sleep(15)
    assert [*seen, watch.running] == [True, False]
    assert await ahead.hand_over() == {}


@virtual
async def test_what_changes_at_the_hub_changes_what_is_watched() -> None:
    keeper = Gatekeeper(Site("uid-m1"))
    ahead = Ahead(keeper)
    await shown(ahead)
    await shown(ahead, place="https://moved")
    first, second = keeper.opened
    assert (first.closed, second.watches["configmaps"].running) == (True, True)
    ahead.align(WARM, *hub(place="https://moved"), [])
    await settle()
    assert not second.watches["configmaps"].running
    await shown(ahead, replace(WARM, warm_standby=False), place="https://moved")
    assert second.closed
