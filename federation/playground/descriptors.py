"""Whether the limit of open files is enough for thousands of members in one process: checked before the start.

The server inherits the limits of this process.
"""

from collections.abc import Callable

from federation.playground.errors import PlaygroundError
from federation.runtime import openfiles

BASE = 512
"""For the server itself: its connections to etcd (one or more for each resource), files and logs."""
LEAST = 3
"""For each member: its listener, a connection for requests, and one watch."""


def provide(members: int, report: Callable[[str], None]) -> None:
    """Raise the soft limit, and report what `members` need. Raises PlaygroundError if the limit is too low."""
    limit, hard = openfiles.raise_limit()
    needed = BASE + members * LEAST
    what = f"{members} simulated members need at least {needed:,} open files in one process"
    if openfiles.is_unlimited(limit):
        report(what)
        return
    if limit < needed:
        allowed = "no limit" if openfiles.is_unlimited(hard) else f"{hard:,}"
        raise PlaygroundError(
            f"{what}, and the limit is {limit:,} (ulimit -n; hard limit: {allowed}): "
            f"raise it, or ask for at most {max(0, (limit - BASE) // LEAST):,} members"
        )
    report(f"{what}; the limit of {limit:,} is enough for {(limit - BASE) // members - (LEAST - 1):,} watches on each")
