"""What one member has of one type: its Copies, as watches, lists and answers to our own writes have shown them."""

from federation.controllers.statuses import Statuses
from federation.model import bounds
from federation.model.conditions import PropagationStatus
from federation.model.observations import Missing, Observation, Observed
from federation.model.plan import Wait
from federation.model.resources import ObjectName
from federation.runtime.store import Store


class Copies:
    """One member's copies of one type, by target name; `unobservable` is why they cannot be observed now.

    `served` are the versions of the type that the member serves, best first; None while that is not known. `answered`
    are objects that answers to our own writes have shown since a list was asked for, which may be older; None while
    none is under way. `unwatched` are those that no watch or list has shown yet. `listed` is the resourceVersion of the
    last list, 0 where that is no number: of what is as old, there is only what it contains. `seen` is the newest
    version that this list, or the watch since then, has shown. `lists` counts lists that were taken in. `gone` are
    objects that went while a write of ours was under way, each with the version of its end: the answer to that write
    may still come, and shows what is not there any more. `redefined` is not 0 while tracks are told that the type has
    another definition: what they remember of the one before does not count. `statuses` is what the objects report of
    themselves; None where that is not collected.
    """

    __slots__ = (
        "answered",
        "gone",
        "listed",
        "lists",
        "objects",
        "redefined",
        "seen",
        "served",
        "statuses",
        "unobservable",
        "unwatched",
    )

    def __init__(self) -> None:
        self.objects: Store[Observed] = Store()
        self.served: tuple[str, ...] | None = None
        self.unobservable: Wait | None = None
        self.answered: set[ObjectName] | None = None
        self.unwatched: set[ObjectName] = set()
        self.listed = self.seen = self.lists = self.redefined = 0
        self.gone: dict[ObjectName, int] = {}
        self.statuses: Statuses | None = None

    @property
    def size(self) -> int:
        """Bytes of memory that its objects take, roughly: 4 for each letter, as they may be of any script."""
        statuses = self.statuses.size if self.statuses is not None else 0
        return len(self.objects) * bounds.REMEMBERED_OBJECT + 4 * self.objects.letters + statuses

    def observe(self, name: ObjectName) -> Observation:
        """Observed, ABSENT, or UNKNOWN before the first list has ended.

        Where the type itself is missing there is nothing of it: discovery does not have it and lists answer 404. One of
        the two alone is no proof (a server that has just started knows its own types first).
        """
        observed = self.objects.get(name)
        if observed is not None:
            return observed
        missing = (
            self.served == ()
            and self.unobservable is not None
            and self.unobservable.status is PropagationStatus.VERSION_UNAVAILABLE
        )
        return Missing.ABSENT if self.objects.synced or missing else Missing.UNKNOWN

    def outdated(self, name: ObjectName, observed: Observed) -> bool:
        """Whether something newer is known of this name (an answer to our write overtook the watch or the list)."""
        known = self.objects.get(name)
        return known is not None and known.version > observed.version

    def ended(self, name: ObjectName, version: int, lists: int) -> bool:
        """Whether what an answer shows in this version is known to have gone since: no event of that is to come.

        An event has shown its end, or a list that is as new did not contain it. Not a list from before the request,
        when there were `lists`: it was wrong, and to believe it for ever would be to write again and again.
        """
        left_out = self.lists > lists and 0 < version <= self.listed and name not in self.objects
        return self.gone.get(name, 0) > version or left_out

    def answer(self, name: ObjectName, observed: Observed) -> None:
        """Take in what the answer to a write of ours has shown."""
        if self.objects.put(name, observed) is None:
            self.unwatched.add(name)
        if self.answered is not None:
            self.answered.add(name)

    def newer_than(self, listed: int, name: ObjectName) -> bool:
        """Whether what is known of this name is of an answer, and newer than the list of this version that was asked
        for before. Without an answer since, the list is newer, whatever the versions: the member may be restored."""
        known = self.objects.get(name)
        if known is None or self.answered is None or name not in self.answered:
            return False
        return not 0 < known.version <= listed

    def watched(self, name: ObjectName) -> bool:
        """A watch or a list has shown this name: whether that is the first time since an answer had put it in."""
        if name not in self.unwatched:
            return False
        self.unwatched.discard(name)
        return True
