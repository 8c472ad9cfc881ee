"""What users do, and what every member must have afterwards. Pure: the same seed gives the same acts.

There are three parts of the objects: one is never touched, one is changed and moved, one is deleted; new ones are
created besides. A name is never used twice.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Wish:
    """What one federated object asks for: the number in its template, and the members that it is placed in."""

    version: int
    members: frozenset[str]

    def held(self, member: str) -> str | None:
        """What `data.version` must be in a member; None where there must be no copy."""
        return str(self.version) if member in self.members else None


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a user does. `after` None is a deletion, `before` None a creation."""

    kind: str
    name: str
    before: Wish | None
    after: Wish | None


@dataclass(frozen=True, slots=True)
class Due:
    """What one member has missed: the names of objects, by what must happen to their copies, once."""

    created: frozenset[str]
    updated: frozenset[str]
    deleted: frozenset[str]
    untouched: frozenset[str]


class Story:
    """The fleet's objects as their users want them. `absent` is the member that will be away."""

    def __init__(self, objects: int, members: tuple[str, ...], absent: str, seed: int) -> None:
        self.wishes: dict[str, Wish] = {f"item-{number}": Wish(1, frozenset(members)) for number in range(objects)}
        self._random = random.Random(seed)
        self._members = members
        self._absent = absent
        names = list(self.wishes)
        third = max(1, objects // 3)
        self.still = frozenset(names[:third])
        self._changing = names[third : 2 * third]
        self._doomed = names[2 * third :]
        self._made = 0

    def next(self) -> Act:
        """The next act; `wishes` is updated by it."""
        kinds = {"edit": 10, "move": 6, "create": 3, "delete": 3 if self._doomed else 0}
        kind = self._random.choices(list(kinds), list(kinds.values()))[0]
        act = {"edit": self._edit, "move": self._move, "create": self._create, "delete": self._delete}[kind]()
        if act.after is None:
            del self.wishes[act.name]
        else:
            self.wishes[act.name] = act.after
        return act

    def _edit(self) -> Act:
        name = self._random.choice(self._changing)
        wish = self.wishes[name]
        return Act("edit", name, wish, replace(wish, version=wish.version + 1))

    def _move(self) -> Act:
        """Out of a member or into it again; half of the moves are about the one that is away."""
        name = self._random.choice(self._changing)
        wish = self.wishes[name]
        member = self._absent if self._random.random() < 0.5 else self._random.choice(self._members)
        return Act("move", name, wish, replace(wish, members=wish.members ^ {member}))

    def _create(self) -> Act:
        self._made += 1
        name = f"new-{self._made}"
        self._changing.append(name)
        return Act("create", name, None, Wish(1, frozenset(self._members)))

    def _delete(self) -> Act:
        name = self._doomed.pop(self._random.randrange(len(self._doomed)))
        return Act("delete", name, self.wishes[name], None)


def due(before: Mapping[str, Wish], after: Mapping[str, Wish], member: str) -> Due:
    """What must be written to a member that had `before` when it went down, when it is back and the hub has `after`."""
    created, updated, deleted, untouched = set(), set(), set(), set()
    for name in before.keys() | after.keys():
        held = before[name].held(member) if name in before else None
        wanted = after[name].held(member) if name in after else None
        if held == wanted:
            untouched.add(name)
        elif held is None:
            created.add(name)
        elif wanted is None:
            deleted.add(name)
        else:
            updated.add(name)
    return Due(frozenset(created), frozenset(updated), frozenset(deleted), frozenset(untouched))


def expected(wishes: Mapping[str, Wish], member: str) -> dict[str, str]:
    """The version of every copy that a member must hold."""
    return {name: held for name, wish in wishes.items() if (held := wish.held(member)) is not None}
