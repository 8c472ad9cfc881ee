"""What a reflector observed last: objects by name, with an index by namespace, and whether the first list has ended."""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from federation.model.resources import ObjectName

V = TypeVar("V")


class Store(Generic[V]):
    """A snapshot of one collection. Until `synced` an absent name means nothing.

    `lists` and `drops` count the lists that were taken in, and the names that were said to be gone: whoever asks for
    one name can see whether something was learnt meanwhile that may be newer than the answer.
    """

    def __init__(self) -> None:
        self.synced = False
        self.lists = self.drops = 0
        self.letters = 0
        """The length of all names together."""
        self._items: dict[ObjectName, V] = {}
        self._namespaces: dict[str, set[ObjectName]] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[ObjectName]:
        return iter(self._items)

    def __contains__(self, name: ObjectName) -> bool:
        return name in self._items

    def listed(self) -> None:
        """A list was taken in."""
        self.synced = True
        self.lists += 1

    def get(self, name: ObjectName) -> V | None:
        """The object, or None."""
        return self._items.get(name)

    def items(self) -> Iterable[tuple[ObjectName, V]]:
        """Every name with its object; do not change the store meanwhile."""
        return self._items.items()

    def within(self, namespace: str) -> tuple[ObjectName, ...]:
        """The names in one namespace."""
        return tuple(self._namespaces.get(namespace, ()))

    def count(self, namespace: str) -> int:
        """How many there are in one namespace."""
        return len(self._namespaces.get(namespace, ()))

    def put(self, name: ObjectName, value: V) -> V | None:
        """Remember an object; the answer is what was there before."""
        before = self._items.get(name)
        self._items[name] = value
        if before is None:
            self.letters += len(name.namespace) + len(name.name)
            self._namespaces.setdefault(name.namespace, set()).add(name)
        return before

    def drop(self, name: ObjectName) -> V | None:
        """Forget an object; the answer is what was there."""
        self.drops += 1
        value = self._items.pop(name, None)
        names = self._namespaces.get(name.namespace)
        if names is not None and name in names:
            self.letters -= len(name.namespace) + len(name.name)
            names.discard(name)
            if not names:
                del self._namespaces[name.namespace]
        return value


class ReportingStore(Store[V]):
    """A store that reports the name of whatever changes in it, for an index of it."""

    def __init__(self, changed: Callable[[ObjectName], None]) -> None:
        super().__init__()
        self._changed = changed

    def put(self, name: ObjectName, value: V) -> V | None:
        """As of every store."""
        before = super().put(name, value)
        self._changed(name)
        return before

    def drop(self, name: ObjectName) -> V | None:
        """As of every store."""
        before = super().drop(name)
        self._changed(name)
        return before
