"""Write the fingerprint that many healthy clusters have in common once; used by summary.fold and by who reads a status.

Of a thousand equal lines one has the fingerprint, with a mark, and the others are a name: 15 bytes instead of 50, and
in memory one object for each cluster, not one for each cluster and object. Fingerprints that differ in their times
alone, by LONGEST_SPREAD at most, count as equal: those of one rollout. The mark stands in a field that the CRDs had
before, so that it works with CRDs of earlier versions, too. An earlier controller takes the marked fingerprint for one
that no copy has, and a line without one for a cluster that may have a copy: it applies once more, and loses nothing.
Where it writes these lines itself, the mark goes, and with it its meaning.
"""

import functools
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

import msgspec

from federation.core import fingerprints
from federation.model.observations import MAY_HAVE_COPY, Applied
from federation.model.status import ClusterStatus, Status

LONGEST_SPREAD = 60
"""Seconds between the times of fingerprints that are written as one. A line of a time of its own has its own."""
MARK = "*"
"""Ends the fingerprint that also every healthy line without one has; in no digest (base64url)."""
UNKNOWN = "?"
"""The fingerprint of a healthy line for which none is known, where a line without one would share another's."""


@functools.lru_cache(maxsize=1 << 14)
def _bare(name: str) -> ClusterStatus:
    return ClusterStatus(name)


def share(lines: Sequence[ClusterStatus]) -> Sequence[ClusterStatus]:
    """The lines, in their order, with the most frequent fingerprint of healthy ones written once."""
    common, equal = _common(Counter(line.fingerprint for line in lines if not line.status and line.fingerprint))
    if not common:
        return lines
    result, marked = [], False
    for line in lines:
        if line.status or (line.fingerprint and line.fingerprint not in equal):
            result.append(line)
        elif not line.fingerprint:
            result.append(msgspec.structs.replace(line, fingerprint=UNKNOWN))
        elif not marked:
            marked = True
            result.append(msgspec.structs.replace(line, fingerprint=common + MARK))
        else:
            result.append(_without(line))
    return result


class _Timed(NamedTuple):
    """A fingerprint, and the first and the last of the times that it stands for."""

    since: int
    until: int
    text: str


def _common(counts: Mapping[str, int]) -> tuple[str, Container[str]]:
    """What most healthy lines can be written as, and which fingerprints that is; "" where no two lines are equal.

    `counts` are the lines by fingerprint.
    """
    if len(counts) == 1:
        ((text, times),) = counts.items()
        return (text, counts) if times > 1 else ("", ())
    alike: dict[tuple[str, str], list[_Timed]] = {}
    for text in counts:
        found = fingerprints.parse(text)
        if found is not None and found.time is not None:
            timed = _Timed(found.time, found.time + found.spread, text)
            alike.setdefault((found.digest, found.owned_digest), []).append(timed)
    best, most = "", max(counts.items(), key=lambda counted: counted[1], default=("", 0))
    equal, times = [most[0]], most[1]
    for (digest, owned), of_all_times in alike.items():
        number, window = _together(of_all_times, counts)
        if number > times:
            since = window[0].since
            best = fingerprints.text(digest, owned, since, max(each.until for each in window) - since)
            equal, times = [each.text for each in window], number
    return (best or equal[0], frozenset(equal)) if times > 1 else ("", ())


def _together(timed: list[_Timed], counts: Mapping[str, int]) -> tuple[int, list[_Timed]]:
    """Of fingerprints that differ in time, those within LONGEST_SPREAD that most lines have, and how many lines."""
    timed.sort()
    best, most, start, number = timed[:1], (0, 0), 0, 0
    for place, each in enumerate(timed):
        number += counts[each.text]
        while start < place and each.until - timed[start].since > LONGEST_SPREAD:
            number -= counts[timed[start].text]
            start += 1
        width = each.until - timed[start].since
        if (number, -width) > most:
            best, most = timed[start : place + 1], (number, -width)
    return most[0], best


def equivalent(lines: Sequence[ClusterStatus], stored: Sequence[ClusterStatus]) -> bool:
    """Whether stored lines say the same as these in another form, such as an earlier version's, which has no times."""
    if len(lines) != len(stored):
        return False
    ours, theirs = shared(lines), shared(stored)
    return all(_same(own(one, ours), own(other, theirs)) for one, other in zip(lines, stored, strict=True))


def _same(line: ClusterStatus, stored: ClusterStatus) -> bool:
    if line == stored:
        return True
    if not fingerprints.only_lacks_time(stored.fingerprint, line.fingerprint):
        return False
    return msgspec.structs.replace(line, fingerprint=stored.fingerprint) == stored


def shared(lines: Sequence[ClusterStatus]) -> str:
    """The fingerprint of every healthy line of a stored status that has none; "" where none is shared."""
    return next((line.fingerprint.removesuffix(MARK) for line in lines if is_marked(line)), "")


def is_marked(line: ClusterStatus) -> bool:
    """Whether other lines share this one's fingerprint."""
    return not line.status and line.fingerprint.endswith(MARK)


def own(line: ClusterStatus, common: str) -> ClusterStatus:
    """A stored line with its own fingerprint, "" where none is known; `common` is what `shared` gives."""
    if line.status:
        return line
    fingerprint = line.fingerprint.removesuffix(MARK) or common
    fingerprint = "" if fingerprint == UNKNOWN else fingerprint
    return line if fingerprint == line.fingerprint else msgspec.structs.replace(line, fingerprint=fingerprint)


def owned(lines: Sequence[ClusterStatus]) -> list[ClusterStatus]:
    """All stored lines, each with its own fingerprint."""
    common = shared(lines)
    return [own(line, common) for line in lines]


def recorded(status: Status) -> dict[str, Applied]:
    """What a stored status records as applied, of every cluster that has a line.

    A line without a fingerprint, its own or a shared one, is of a cluster that may have been sent a create before its
    answer was recorded.
    """
    applied: dict[str, Applied] = {}
    for line in owned(status.clusters):
        found = fingerprints.parse(line.fingerprint)
        generation = line.generation or status.observed_generation
        applied[line.name] = MAY_HAVE_COPY if found is None else fingerprints.recorded(found, generation)
    return applied


def interned(lines: Sequence[ClusterStatus]) -> tuple[ClusterStatus, ...]:
    """The lines; those that are a name alone are one object for all statuses."""
    return tuple(map(_interned, lines))


def _interned(line: ClusterStatus) -> ClusterStatus:
    return line if line.status or line.fingerprint else _without(line)


def _without(line: ClusterStatus) -> ClusterStatus:
    """A healthy line without its fingerprint."""
    reported = line.ready or line.unhealthy or line.remote_status is not msgspec.UNSET
    if line.message or line.generation or reported:
        return msgspec.structs.replace(line, fingerprint="")
    return _bare(line.name)
