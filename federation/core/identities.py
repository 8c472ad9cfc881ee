"""Which cluster is the one that an identity belongs to, when more than one shows it.

An identity is the UID of kube-system, and any member can show another's. So it belongs to the cluster that has it on
record: join records it, and for clusters that others have joined (KubeFed, a folder of YAML) it is recorded when they
are first accepted. Who is accepted first must not depend on who answers first: a cluster without a record waits until
every other one without has been asked; those that did not answer then are noted with the record, for they may turn out
to be whom it belongs to. Where two without a better claim show the same identity neither is believed until a person
decides which it is, and the mark of that stays on both, whatever order a restart finds them in.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claimant:
    """A joined cluster. `shown` is its identity as it answered since we started: None not asked yet, "" no answer.

    `unanswered` are clusters that had not answered when `recorded` was recorded here. `contested` is an identity that
    it and another have shown.
    """

    name: str
    recorded: str = ""
    unanswered: frozenset[str] = frozenset()
    contested: str = ""
    shown: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The identity is this cluster's; `unanswered` is to be recorded with it when it has no record yet."""

    unanswered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """Another cluster has it on record."""

    by: str


@dataclass(frozen=True, slots=True)
class Contested:
    """These clusters show it, too, or might, and have as good a claim to it: none of them is believed."""

    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Others have not been asked yet."""


def assess(me: Claimant, uid: str, others: Iterable[Claimant]) -> Accepted | Taken | Contested | Waiting:
    """Whether `me`, which shows `uid` and has no other identity on record, is the cluster that it belongs to."""
    others = sorted(others, key=lambda each: each.name)
    without = [each for each in others if not each.recorded]
    if me.recorded:
        doubted = tuple(each.name for each in without if each.shown == uid and each.name in me.unanswered)
        return Contested(doubted) if doubted else Accepted()
    owners = [each for each in others if each.recorded == uid]
    doubtful = tuple(each.name for each in owners if me.name in each.unanswered)
    if doubtful:
        return Contested(doubtful)
    if owners:
        return Taken(owners[0].name)
    rivals = tuple(each.name for each in without if each.shown == uid or (each.contested == uid and not each.shown))
    if rivals:
        return Contested(rivals)
    if any(each.shown is None for each in without):
        return Waiting()
    return Accepted(tuple(each.name for each in without if not each.shown))
