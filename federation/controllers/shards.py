"""This controller's shard of the clusters, and what the coordinating one hears from the others (core.shards).

Each shard but the first reports into a ConfigMap of its own, many objects with one write (`outbox`). The coordinating
shard watches those ConfigMaps and folds what they say into the statuses that it writes, so that every field of a
federated object has one writer, and an object costs one status write however many shards there are.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from federation.core import elsewhere, proof, reports, shards
from federation.core.elsewhere import Foreign
from federation.core.reports import Report
from federation.core.shards import Shard
from federation.model.federated import FederatedObject, StoredObject
from federation.model.observations import Cluster
from federation.model.resources import Key, ObjectName
from federation.model.status import ClusterStatus, Status

if TYPE_CHECKING:
    from federation.controllers.outbox import Outbox
    from federation.controllers.world import World

NAME = "kubefed-controller-shard"

log = structlog.get_logger()


def config_map(index: int) -> str:
    """The name of the ConfigMap that a shard reports into."""
    return f"{NAME}-{index}"


@dataclass(slots=True)
class Sharding:
    """One of several shards. `served` are the clusters that it serves. `outbox` is for its reports; None: it
    coordinates, and `heard` has those of the others, by the object's uid and by shard."""

    shard: Shard
    served: set[str] = field(default_factory=set)
    outbox: "Outbox | None" = None
    heard: dict[str, dict[int, Report]] = field(default_factory=dict)
    _expected: tuple[int, dict[int, str]] = (-1, {})

    def says(self, world: "World", federated: FederatedObject, status: Status) -> Foreign:
        """What the other shards say of an object; `status` is the stored one."""
        if self.outbox is not None:
            return elsewhere.NOTHING_SAID
        meta = federated.metadata
        found, before = self.heard.get(meta.uid, {}), reports.stored(status)
        lines: dict[str, ClusterStatus] = {}
        heard: set[str] = set()
        now = {index: {line.name: line for line in report.lines} for index, report in found.items()}
        unserved = False
        for name, member in world.members.items():
            index = member.cluster.shard
            if index is None:
                continue
            unserved = unserved or index == self.shard.index
            line = now[index].get(name) if index in now else before.get(name)
            if line is not None:
                lines[name] = line
            said = found[index].generation if index in found else status.observed_generation
            if said == meta.generation:
                heard.add(name)
        deleted = meta.deletion_timestamp
        silent: tuple[int, ...] = ()
        if deleted is not None and deleted != proof.GONE_UNSEEN:
            others = range(1, self.shard.number)
            silent = tuple(each for each in others if not self._confirmed(world, each, found.get(each), deleted))
            if unserved:
                silent += (self.shard.index,)
        held = (report.deletions for report in found.values())
        return Foreign(
            lines,
            heard,
            stalled=frozenset(name for report in found.values() for name in report.stalled),
            silent=silent,
            deletions=next((each for each in held if each is not None), None),
        )

    def _confirmed(self, world: "World", index: int, report: Report | None, deleted: str) -> bool:
        """Whether a shard has confirmed that none of its clusters has a copy: of those that are its now."""
        if report is None or report.deleted != deleted or report.lines:
            return False
        return report.fleet == self._fleets(world)[index]

    def _fleets(self, world: "World") -> Mapping[int, str]:
        version, found = self._expected
        if version != world.clusters_version:
            names: dict[int, list[str]] = {index: [] for index in range(1, self.shard.number)}
            for name, member in world.members.items():
                if member.cluster.shard is not None:
                    names.setdefault(member.cluster.shard, []).append(name)
            found = {index: shards.fleet(each, self.shard.number) for index, each in names.items()}
            self._expected = world.clusters_version, found
        return found


class Inbox:
    """What one other shard reports, as its ConfigMap shows it. `changed` is called with each object that it is about.

    `told` is called where what it holds of deletions has changed.
    """

    def __init__(
        self, sharding: Sharding, index: int, changed: Callable[[Key], None], told: Callable[[], None]
    ) -> None:
        self.deletions: dict[str, Any] = {}
        self._sharding = sharding
        self._index = index
        self._changed = changed
        self._told = told
        self._seen: dict[str, str] = {}
        self.listed = asyncio.Event()

    def replace(self, items: Iterable[StoredObject]) -> None:
        """A list: of one, or none."""
        self._take(next((item.data for item in items), {}))
        self.listed.set()

    def upsert(self, item: StoredObject) -> None:
        """It has changed."""
        self._take(item.data)

    def remove(self, item: StoredObject) -> None:
        """Somebody has deleted it: what was said in it is unknown."""
        self._take({})

    def _take(self, data: Mapping[str, str]) -> None:
        if data.get(reports.NUMBER) != str(self._sharding.shard.number):
            data = {}  # of another time, when there were more shards, or fewer
        before, self._seen = self._seen, dict(data)
        for name in before.keys() - data.keys():
            self._set(name, before[name], "")
        for name, text in data.items():
            if before.get(name) != text:
                self._set(name, before.get(name, ""), text)

    def _set(self, name: str, before: str, text: str) -> None:
        if name == reports.DELETIONS:
            self._set_deletions(text)
        if not name.startswith(reports.PREFIX):
            return
        uid, report, old = name.removeprefix(reports.PREFIX), reports.decode(text), reports.decode(before)
        heard = self._sharding.heard
        if report is None:
            left = heard.get(uid, {})
            left.pop(self._index, None)
            if not left:
                heard.pop(uid, None)
        else:
            heard.setdefault(uid, {})[self._index] = report
        about = report or old
        if about is not None:
            self._changed(about.key)

    def _set_deletions(self, text: str) -> None:
        try:
            found = msgspec.json.decode(text) if text else {}
        except msgspec.MsgspecError:
            found = {}
        self.deletions = found if isinstance(found, dict) else {}
        self._told()


def foreign(cluster: StoredObject, mine: Shard) -> Cluster:
    """A cluster of another shard than `mine`, as far as placements need it."""
    meta = cluster.metadata
    index = shards.owner(meta.name, meta.labels, meta.annotations, mine.number)
    if index == mine.index:  # it is being let go of
        index = shards.wanted(meta.name, meta.labels, mine.number)
    return Cluster(meta.name, dict(meta.labels), message=f"shard {index} serves it", shard=index)


def where(namespace: str, index: int) -> ObjectName:
    """The ConfigMap of a shard."""
    return ObjectName(namespace, config_map(index))
