"""What planning knows of rollouts: the records that the hub has, with the contents that clusters are held to.

Written by `rollouts`, read by `gathering` for objects with the label alone: no other object costs anything here. Which
objects name a rollout is known from their own plans: each is planned when it appears or changes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from msgspec import Raw

from federation.core import staging
from federation.core.staging import Content, Staged
from federation.model import marks
from federation.model.federated import FederatedObject
from federation.model.resources import Key, ObjectName
from federation.model.rollouts import Record

if TYPE_CHECKING:
    from federation.controllers.world import TypeState

What = tuple[str, str, str]
"""An object of a set: type, name, uid (rollouts.Entry.what)."""


@dataclass(frozen=True, slots=True)
class Published:
    """A record that the hub has accepted. `contents` are what of each object was read, by digest; `gone` are digests
    of which the hub has no content any more. `uid` is that of the FederatedRollout, `serial` is another for each that
    was published."""

    record: Record
    contents: Mapping[What, Mapping[str, Content]] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    uid: str = ""
    serial: int = 0


class RolloutIndex:
    """All rollouts. `changed` is called with the name of one that has something to decide."""

    def __init__(self) -> None:
        self.changed: Callable[[ObjectName], None] = lambda where: None
        self.refused = ""
        """Why there are no staged rollouts at all; "" where there are."""
        self.home = marks.SYSTEM_NAMESPACE
        """Where the rollouts of federated objects without a namespace are."""
        self.missing: Callable[[ObjectName], str | None] = lambda where: "staged rollouts are not served here"
        """Why there is no rollout of a name; None while that is not known, "" where there is one."""
        self._named: dict[ObjectName, set[Key]] = {}
        self._published: dict[ObjectName, Published] = {}
        self._digests: dict[Key, tuple[bytes | Raw, str]] = {}
        self._serials = 0

    def rollout_of(self, federated: FederatedObject) -> ObjectName | None:
        """The rollout that an object names; None where it names none."""
        name = federated.metadata.labels.get(marks.ROLLOUT_LABEL)
        return ObjectName(federated.metadata.namespace or self.home, name) if name else None

    def waiting(self) -> list[ObjectName]:
        """The rollouts that objects name and of which no record was published."""
        return [where for where in self._named if where not in self._published]

    def named(self, where: ObjectName) -> set[Key]:
        """The objects that name a rollout, or did."""
        return set(self._named.get(where, ()))

    def forget(self, where: ObjectName, key: Key) -> None:
        """An object names the rollout no longer."""
        keys = self._named.get(where)
        if keys is not None:
            keys.discard(key)
            if not keys:
                del self._named[where]
        self._digests.pop(key, None)

    def published(self, where: ObjectName) -> Published | None:
        """What planning goes by."""
        return self._published.get(where)

    def publish(self, where: ObjectName, published: Published) -> Published:
        """Plan by this from now on."""
        self._serials += 1
        made = self._published[where] = replace(published, serial=self._serials)
        return made

    def withdraw(self, where: ObjectName) -> bool:
        """There is no such rollout any more: whether there was."""
        return self._published.pop(where, None) is not None

    def digest(self, key: Key, federated: FederatedObject) -> str:
        """The digest of an object's present content.

        Not by its generation: after the hub was restored, the same generation may have another content.
        """
        spec, known = federated.spec, self._digests.get(key)
        if known is not None and known[0] is spec:
            return known[1]
        same = known is not None and memoryview(known[0]) == memoryview(spec)
        digest = known[1] if known is not None and same else staging.digest(spec)
        self._digests[key] = (spec, digest)
        return digest

    def staged(self, state: "TypeState", federated: FederatedObject) -> Staged | None:
        """How an object is held; None where the label names nothing."""
        where = self.rollout_of(federated)
        if where is None:
            return None
        if refused := staging.refusal(state.type) or self.refused:
            return Staged(refused=refused)
        key = Key(state.type.name, *federated.where)
        named = self._named.setdefault(where, set())
        new = key not in named
        named.add(key)
        published = self._published.get(where)
        digest = self.digest(key, federated)
        if published is None:
            missing = self.missing(where)
            self.changed(where)
            return Staged(where.name, digest, unknown=not missing, missing=missing or "")
        what = (key.type, key.name, federated.metadata.uid)
        entries = {
            revision.number: entry.content
            for revision in published.record.revisions
            if (entry := revision.entry(what)) is not None
        }
        contents = published.contents.get(what, {})
        needed = needs(published.record, entries) - {digest}
        if new or digest not in entries.values() or needed - contents.keys() - published.gone:
            self.changed(where)
        return Staged(
            where.name,
            digest,
            published.record,
            entries,
            contents,
            published.serial,
            unknown=bool(needed - contents.keys() - published.gone),
        )


def needs(record: Record, entries: Mapping[int, str]) -> set[str]:
    """The digests that clusters are held to."""
    numbers = {record.good, record.target, *record.holds.values()}
    return {entries[number] for number in numbers if number in entries}
