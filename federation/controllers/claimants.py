"""Joined clusters by what they have on record and what they have shown, for `identities`.

Of thousands that come without a record each would be compared with all others, in turn: 47 s of CPU at 3,500. Here a
cluster that shows an identity finds those whom that concerns, and the number of the others makes no difference.
"""

from collections.abc import Iterator, Set
from typing import Any

from federation.core.identities import Claimant
from federation.model import marks
from federation.model.federated import StoredObject
from federation.model.resources import ObjectName
from federation.runtime.store import Store


class Claimants:
    """Indexes of a store of KubeFedClusters; `observed` is to be called for each of its changes."""

    def __init__(self, objects: Store[StoredObject], namespace: str) -> None:
        self._objects = objects
        self._namespace = namespace
        self._recorded, self._contested, self._shown = _Index(), _Index(), _Index()
        self._unasked: set[str] = set()
        """Without a record, not being deleted, and not asked since we started."""
        self._silent: set[str] = set()
        """Without a record, and did not answer."""

    def observed(self, name: str) -> None:
        """Its KubeFedCluster appeared, changed or went."""
        stored = self._stored(name)
        noted: dict[str, Any] = stored.metadata.annotations if stored is not None else {}
        self._recorded.put(name, noted.get(marks.IDENTITY_ANNOTATION) or None)
        self._contested.put(name, noted.get(marks.CONTESTED_ANNOTATION) or None)
        self._sort(name, stored)

    def shows(self, name: str, uid: str | None) -> None:
        """The cluster shows this identity, "" where it does not answer; None: it is to be asked again."""
        self._shown.put(name, uid)
        self._sort(name, self._stored(name))

    def shown(self, name: str) -> str | None:
        """What it showed last; None when it was not asked yet."""
        return self._shown.value(name)

    @property
    def all_asked(self) -> bool:
        """Whether every cluster without a record has been asked."""
        return not self._unasked

    def get(self, name: str) -> Claimant | None:
        """One cluster; None where there is none of this name."""
        stored = self._stored(name)
        if stored is None:
            return None
        noted: dict[str, Any] = stored.metadata.annotations
        return Claimant(
            stored.metadata.name,
            recorded=noted.get(marks.IDENTITY_ANNOTATION, ""),
            unanswered=frozenset(filter(None, noted.get(marks.UNANSWERED_ANNOTATION, "").split(","))),
            contested=noted.get(marks.CONTESTED_ANNOTATION, ""),
            shown=self.shown(name),
        )

    def on_record(self, uid: str) -> Set[str]:
        """The clusters that have an identity on record."""
        return self._recorded.names(uid)

    def concerned(self, me: Claimant, uid: str) -> dict[str, Claimant]:
        """The others that `identities.assess` has to know of when `me` shows an identity, by name.

        Of those that were not asked yet one is enough to wait; where there is none it matters who was silent.
        """
        names = {*self._recorded.names(uid), *self._contested.names(uid), *self._shown.names(uid)}
        if not me.recorded:
            names.update(self._silent if self.all_asked else [next(iter(self._unasked))])
        return {each.name: each for each in self._claiming(names - {me.name})}

    def _claiming(self, names: Set[str]) -> Iterator[Claimant]:
        """Those of them that claim anything: not one that is being deleted and was not asked before."""
        for name in names:
            stored, claimant = self._stored(name), self.get(name)
            if stored is None or claimant is None:
                continue
            if stored.metadata.deletion_timestamp is None or claimant.shown is not None:
                yield claimant

    def _stored(self, name: str) -> StoredObject | None:
        return self._objects.get(ObjectName(self._namespace, name))

    def _sort(self, name: str, stored: StoredObject | None) -> None:
        self._unasked.discard(name)
        self._silent.discard(name)
        if stored is None or self._recorded.value(name):
            return
        shown = self.shown(name)
        if shown is None and stored.metadata.deletion_timestamp is None:
            self._unasked.add(name)
        elif shown == "":
            self._silent.add(name)


class _Index:
    """A value for each of some names, and the names for each value."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._names: dict[str, set[str]] = {}

    def put(self, name: str, value: str | None) -> None:
        before = self._values.get(name)
        if before == value:
            return
        if before is not None:
            names = self._names[before]
            names.discard(name)
            if not names:
                del self._names[before]
        if value is None:
            del self._values[name]
        else:
            self._values[name] = value
            self._names.setdefault(value, set()).add(name)

    def value(self, name: str) -> str | None:
        return self._values.get(name)

    def names(self, value: str) -> Set[str]:
        return self._names.get(value, frozenset())
