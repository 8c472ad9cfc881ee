"""How often one federated object's status is written while its clusters answer. Pure; used by reporting.

A write costs the hub some milliseconds, and more the more clusters there are (docs/performance.md). So what settles
soon is written once, and what takes long a few times: many clusters are waited for longer, and later reports come
ever more rarely.
"""

SETTLE = (2.0, 0.1, 20.0)
"""Seconds that answers are waited for before the first report, and more for each cluster; at most so many."""
REMIND = 30.0
"""Seconds after which clusters that have not answered are reported as timed out (KubeFed's 30 s)."""
RAREST = 120.0
"""Seconds between two reports of an object whose clusters still have not all answered, at most."""
PAUSE = (0.1, 1.0)
"""Seconds between two writes for every ten clusters, and at most, where each change has all its answers at once."""


def settle(clusters: int, *, goes: bool = False) -> float:
    """Seconds after a plan for so many clusters when it is reported though not all have answered.

    `goes`: the object is being deleted and no cluster has failed to. Its status goes with it, so that only a removal
    that hangs is worth a report.
    """
    if goes:
        return REMIND
    base, each, most = SETTLE
    return min(base + each * clusters, most)


def pause(clusters: int) -> float:
    """Seconds after a write before which no other is made, though every cluster has answered."""
    each, most = PAUSE
    return min(each * (clusters // 10), most)


def following(elapsed: float) -> float:
    """Seconds after its plan of the next report, `elapsed` seconds after it."""
    return REMIND if elapsed < REMIND else elapsed + min(elapsed, RAREST)
