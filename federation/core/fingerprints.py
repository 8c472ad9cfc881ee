"""What the status records of the last successful apply to a cluster: `<manifest digest>.<owned digest>.<time>`.

The time is that of our managedFields entry, which the member's API server moves with every apply that changes
something. So an entry that names the same fields and is of another time shows that the object is not as we left it: the
member was restored, or somebody put older content back. It is written in hexadecimal, in seconds of the epoch; 0 is an
entry without one, as an apply leaves it that found everything as it should be. One that stands for many clusters gives
the first of their times, and how many seconds lie between that and the last one: `+5`.
"""

import functools
import re
from typing import NamedTuple

from federation.model.observations import UNKNOWN_DIGEST, Applied, Recorded

_FORM = re.compile(r"([^.]+)\.([^.]+)(?:\.([0-9a-f]{1,12})(?:\+([0-9]{1,6}))?)?", re.DOTALL)


class Fingerprint(NamedTuple):
    """What one records. `time` is None where it is not recorded, as by earlier versions."""

    digest: str
    owned_digest: str
    time: int | None = None
    spread: int = 0


@functools.lru_cache(maxsize=4096)  # of many placements, most have the same
def text(digest: str, owned_digest: str, time: int | None = None, spread: int = 0) -> str:
    """As it is stored."""
    if time is None:
        return f"{digest}.{owned_digest}"
    return f"{digest}.{owned_digest}.{time:x}+{spread}" if spread else f"{digest}.{owned_digest}.{time:x}"


def of(applied: Applied) -> str:
    """The fingerprint of what was applied; "" where that is not known."""
    if not applied.known:
        return ""
    if isinstance(applied, Recorded):
        time = applied.applied_at if applied.timed else None
        return text(applied.digest, applied.owned_digest, time, applied.spread)
    known = applied.owned_digest != UNKNOWN_DIGEST  # else it was sent since, and nothing shows what came of it
    return text(applied.digest, applied.owned_digest, applied.applied_at if known else None)


@functools.lru_cache(maxsize=4096)
def parse(stored: str) -> Fingerprint | None:
    """What it says; None when it is not one."""
    found = _FORM.fullmatch(stored)
    if found is None:
        return None
    digest, owned, time, spread = found.groups()
    return Fingerprint(digest, owned, None if time is None else int(time, 16), int(spread or 0))


def recorded(found: Fingerprint, generation: int) -> Applied:
    """What was applied, as far as a status shows it."""
    digest, owned_digest, time, spread = found
    if time is not None and not spread:
        return Applied(digest, owned_digest, generation, time)
    return Recorded(digest, owned_digest, generation, time or 0, spread, timed=time is not None)


def only_lacks_time(stored: str, now: str) -> bool:
    """Whether a stored fingerprint is `now` without its time, as earlier versions wrote it."""
    return bool(stored) and now.startswith(f"{stored}.") and stored.count(".") == 1
