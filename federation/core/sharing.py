"""Write the fingerprint that many healthy clusters have in common once; used by summary.fold and by who reads a status.

Of a thousand equal lines one has the fingerprint, with a mark, and the others are a name: 15 bytes instead of 50, and
in memory one object for each cluster, not one for each cluster and object. The mark stands in a field that the CRDs had
before, so that it works with CRDs of earlier versions, too. An earlier controller takes the marked fingerprint for one
that no copy has, and a line without one for a cluster that may have a copy: it applies once more, and loses nothing.
Where it writes these lines itself, the mark goes, and with it its meaning.
"""

import functools
from collections import Counter
from collections.abc import Sequence

import msgspec

from federation.model.status import ClusterStatus

MARK = "*"
"""Ends the fingerprint that also every healthy line without one has; in no digest (base64url)."""
UNKNOWN = "?"
"""The fingerprint of a healthy line for which none is known, where a line without one would share another's."""


@functools.lru_cache(maxsize=1 << 14)
def _bare(name: str) -> ClusterStatus:
    return ClusterStatus(name)


def share(lines: Sequence[ClusterStatus]) -> Sequence[ClusterStatus]:
    """The lines, in their order, with the most frequent fingerprint of healthy ones written once."""
    counts = Counter(line.fingerprint for line in lines if not line.status and line.fingerprint)
    common, times = max(counts.items(), key=lambda counted: counted[1], default=("", 0))
    if times < 2:
        return lines
    result, marked = [], False
    for line in lines:
        if line.status or line.fingerprint not in {common, ""}:
            result.append(line)
        elif not line.fingerprint:
            result.append(msgspec.structs.replace(line, fingerprint=UNKNOWN))
        elif not marked:
            marked = True
            result.append(msgspec.structs.replace(line, fingerprint=common + MARK))
        else:
            result.append(_without(line))
    return result


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


def interned(lines: Sequence[ClusterStatus]) -> tuple[ClusterStatus, ...]:
    """The lines; those that are a name alone are one object for all statuses."""
    return tuple(map(_interned, lines))


def _interned(line: ClusterStatus) -> ClusterStatus:
    return line if line.status or line.fingerprint else _without(line)


def _without(line: ClusterStatus) -> ClusterStatus:
    """A healthy line without its fingerprint."""
    if line.message or line.generation or line.remote_status is not msgspec.UNSET:
        return msgspec.structs.replace(line, fingerprint="")
    return _bare(line.name)
