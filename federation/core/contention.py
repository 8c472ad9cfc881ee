"""Notice that somebody in a member undoes what we wrote as often as we put it back, and slow down.

Without it two controllers write against each other as fast as their watches run. The caller records each correction of
drift (a Foreign conflict, or another digest of our fields) and waits `delay` before the next. Meanwhile it reports
`message`; once it is corrected, `note`, until it has been quiet for LASTS.
"""

from dataclasses import dataclass

_FREE = 3
_FIRST_DELAY = 15.0
_LONGEST_DELAY = 960.0
QUIET = 3600.0
"""Seconds without a correction after which what went before is forgotten."""
LASTS = 1200.0
"""Seconds without a correction after which nobody is told of the dispute any more: longer than the longest delay."""
_AGAIN = "again and again"


@dataclass(frozen=True, slots=True)
class Contention:
    """Corrections of one object in one cluster. Times are seconds of the clock that `record` is given: a monotonic one,
    for a wall clock that is set back would hold the next correction until it has caught up.

    `manager` and `fields` are those of the last correction that knew them; `does` is what somebody did before the last
    one where that was something else than to set fields.
    """

    count: int
    first: float
    last: float
    manager: str = ""
    fields: tuple[str, ...] = ()
    does: str = ""


def record(
    previous: Contention | None, now: float, *, manager: str = "", fields: tuple[str, ...] = (), does: str = ""
) -> Contention:
    """Count one correction. After an hour without any, what went before is forgotten."""
    if previous is None or now - previous.last > QUIET:
        return Contention(1, now, now, manager, fields, does)
    known = (manager or previous.manager, fields or previous.fields)
    return Contention(previous.count + 1, previous.first, now, *known, does)


def delay(contention: Contention | None) -> float:
    """Seconds to wait after the last correction: none for the first three, then 15 s doubling to 16 minutes."""
    if contention is None or contention.count <= _FREE:
        return 0.0
    doublings = min(contention.count - _FREE - 1, 10)  # bounded: a count grows for as long as the fight lasts
    return min(_FIRST_DELAY * 2.0**doublings, _LONGEST_DELAY)


def message(contention: Contention, now: float) -> str:
    """What somebody does (the other manager and the fields, where known), how often we put it back, and when next."""
    does, end = _described(contention)
    wait = max(0.0, contention.last + delay(contention) - now)
    again = f"next correction in {_duration(wait)}" if wait else "corrected again at the next change"
    return f"{does} in {_duration(now - contention.first)}; {again}. {end}"


def note(contention: Contention | None, now: float) -> str:
    """The same of a copy that is corrected now; "" where there is no dispute, or it has been quiet for long enough."""
    if contention is None or not delay(contention) or now >= quiet(contention):
        return ""
    does, end = _described(contention)
    return f"{does} in {_duration(contention.last - contention.first)}. {end}"


def quiet(contention: Contention) -> float:
    """When the dispute is over, should nobody go on with it."""
    return contention.last + LASTS


def is_told(message: str) -> bool:
    """Whether a line's message tells of a dispute."""
    return _AGAIN in message


def _described(contention: Contention) -> tuple[str, str]:
    who = f'"{contention.manager}"' if contention.manager else "somebody"
    what = ", ".join(contention.fields[:3]) or "a field"
    if len(contention.fields) > 3:
        what += f" and {len(contention.fields) - 3} more"
    does, end = f"sets {what}", "Take the field out of the template or stop the other writer"
    if contention.does:
        who, does, end = "somebody", contention.does, "Stop the other writer, or take the cluster out of the placement"
    return f"{who} in this cluster {does} {_AGAIN}: put back {contention.count} times", end


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
