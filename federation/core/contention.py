"""Notice that somebody in a member sets a field again as often as we put it back, and slow down.

Without it two controllers write against each other as fast as their watches run. The caller notes each correction of
drift that a Foreign conflict or a changed entry brought, waits `delay` before the next, and shows `message`.
"""

from dataclasses import dataclass

_FREE = 3
_FIRST_DELAY = 15.0
_LONGEST_DELAY = 960.0
_QUIET = 3600.0


@dataclass(frozen=True, slots=True)
class Contention:
    """Corrections of one object in one cluster. Times are seconds of whatever clock `note` is given.

    `manager` and `fields` are those of the last correction that knew them.
    """

    count: int
    first: float
    last: float
    manager: str = ""
    fields: tuple[str, ...] = ()


def note(previous: Contention | None, now: float, *, manager: str = "", fields: tuple[str, ...] = ()) -> Contention:
    """Count one correction. After an hour without any, what went before is forgotten."""
    if previous is None or now - previous.last > _QUIET:
        return Contention(1, now, now, manager, fields)
    return Contention(previous.count + 1, previous.first, now, manager or previous.manager, fields or previous.fields)


def delay(contention: Contention | None) -> float:
    """Seconds to wait after the last correction: none for the first three, then 15 s doubling to 16 minutes."""
    if contention is None or contention.count <= _FREE:
        return 0.0
    doublings = min(contention.count - _FREE - 1, 10)  # bounded: a count grows for as long as the fight lasts
    return min(_FIRST_DELAY * 2.0**doublings, _LONGEST_DELAY)


def contended(contention: Contention | None, now: float) -> bool:
    """Whether this is a fight that users should be told of, rather than somebody's few edits."""
    return contention is not None and contention.count > _FREE and now - contention.last <= _QUIET


def message(contention: Contention, now: float) -> str:
    """One sentence that names the other manager and the fields, how often we put them back, and when next."""
    who = f'"{contention.manager}"' if contention.manager else "somebody"
    what = ", ".join(contention.fields[:3]) or "a field"
    if len(contention.fields) > 3:
        what += f" and {len(contention.fields) - 3} more"
    wait = max(0.0, contention.last + delay(contention) - now)
    again = f"next correction in {_duration(wait)}" if wait else "corrected again at the next change"
    return (
        f"{who} in this cluster sets {what} again and again: put back {contention.count} times "
        f"in {_duration(now - contention.first)}; {again}. Take the field out of the template or stop the other writer"
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
