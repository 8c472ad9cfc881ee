"""A rollout's record that the hub has lost, made anew from what the clusters have. Pure; called by rollouts.decide.

A status may be emptied by hand, or left out of a backup, and a FederatedRollout that is deleted and applied again has
none. The contents that are stored (FederatedRevisions), and what each cluster was given by the objects' own statuses,
show most of it. The new record names for each cluster what it has, so that nobody is written because of the loss. Who
has what is asked for counts as released, the oldest contents as good, and the run begins at its first stage, whose
gates count anew. Whether a person had taken back what is asked for is not known any more: then the person is asked.
"""

from collections.abc import Mapping, Sequence

from federation.core import times
from federation.model import marks
from federation.model.rollouts import NONE, Entry, Place, Record, Released, Revision, Verdict, Wish

_NAMED = 3

_Contents = tuple[Entry, ...]
"""What a cluster has: those of its contents that are known, in the order of their objects."""


def unused(wish: Wish, record: Record) -> int:
    """The number of the next revision: neither a revision nor a request of a person has named it before.

    An approval that outlived its record must not be one of another revision.
    """
    numbers = {record.newest, record.good, record.target, *record.holds.values()}
    if not record.revisions:
        numbers |= {wish.undone, wish.approved[0]}
    return max(numbers) + 1


def made_anew(wish: Wish, places: Mapping[str, Place], now: float) -> Record | None:
    """The record that these clusters show; None where nothing shows that there was one."""
    if not wish.undone and not any(place.has for place in places.values()):
        return None
    current, others = list[str](), dict[_Contents, list[str]]()
    for name, place in sorted(places.items()):
        if place.copies and not place.older:
            current.append(name)
        else:
            others.setdefault(tuple(sorted(place.has, key=_what)), []).append(name)
    oldest = sorted(others, key=_age)
    first = unused(wish, Record())
    numbers = {has: first + index for index, has in enumerate(oldest)}
    target = first + len(oldest)
    good = _good(oldest, places)
    since = times.rfc3339(now)
    revisions = [
        Revision(number, Verdict.GOOD if has == good else Verdict.SUPERSEDED, since, has)
        for has, number in numbers.items()
    ]
    holds = dict.fromkeys(current, target)
    holds |= {name: numbers[has] for has, names in others.items() if has != good for name in names}
    return Record(
        (*revisions, Revision(target, Verdict.RUNNING, since, wish.objects)),
        good=NONE if good is None else numbers[good],
        target=target,
        released=tuple(Released(name, number) for name, number in sorted(holds.items())),
        stage=wish.stages[0].name if wish.stages else "",
        lost=since,
    )


def doubt(wish: Wish, record: Record) -> str:
    """Why it is not known whether a person has taken back what is asked for; "" where it is, or was not lost."""
    if not record.lost or not wish.undone or record.revision(wish.undone) is not None:
        return ""
    back = f", or fedctl rollout undo: every cluster gets revision {record.good}" if record.good else ""
    return (
        f"annotation {marks.UNDONE_ANNOTATION} takes back revision {wish.undone}, which is not known any more and may "
        "have been what is asked for now: nothing is released until you say fedctl rollout resume: it is rolled out "
        f"from the first stage{back}"
    )


def told(record: Record) -> str:
    """What an event says of a record that was made anew."""
    names: dict[int, list[str]] = {}
    for each in record.released:
        names.setdefault(each.revision, []).append(each.name)
    parts = [f"{_some(names.pop(record.target))} had what is asked for"] if record.target in names else []
    parts += [_kept(record.revision(number), several) for number, several in sorted(names.items())]
    if record.good:
        parts.append(f"all others have revision {record.good}, which counts as good")
    had = "; ".join(parts) or "no cluster has anything"
    return (
        f"the record of the rollout was lost, and was made anew from what the clusters have: {had}. "
        f"Nothing is changed by that; revision {record.target} goes on from the first stage"
    )


def note(record: Record) -> str:
    """What the condition says until the run has ended."""
    return f"the record was lost at {record.lost} and made anew from what the clusters have: all gates count anew"


def _good(oldest: Sequence[_Contents], places: Mapping[str, Place]) -> _Contents | None:
    """The contents that every cluster may go back to; None where that is not known.

    A run supersedes what has not reached every cluster. So while some have no copy at all, nothing shows that what the
    others have was good.
    """
    if any(not (place.copies or place.older or place.has) for place in places.values()):
        return None
    return next((has for has in oldest if has), None)


def _kept(revision: Revision | None, names: Sequence[str]) -> str:
    if revision is None or not revision.objects:
        return f"what {_some(names)} had is not known and is left as it is"
    return f"{_some(names)} had revision {revision.number}"


def _age(has: _Contents) -> tuple[int, object]:
    """The contents of lower generations are older; ties are broken somehow, but always in the same way."""
    return sum(each.generation for each in has), tuple((each.what, each.content) for each in has)


def _what(entry: Entry) -> tuple[str, str, str]:
    return entry.what


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
