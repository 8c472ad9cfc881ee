"""How often one federated object is planned, and its status written, while its clusters answer. Pure.

Used by sync and reporting.

A write costs the hub some milliseconds, and more the more clusters there are (docs/performance.md). So what settles
soon is written once, and what takes long a few times: many clusters are waited for longer, and later reports come
ever more rarely.
"""

SETTLE = (2.0, 0.1, 20.0)
"""Seconds that answers are waited for before the first report, and more for each cluster; at most so many."""
BY_AGENTS = 10.0
"""The least of these seconds where agents have been handed something: they report within some seconds that they have
applied it."""
REMIND = 30.0
"""Seconds after which clusters that have not answered are reported as timed out (KubeFed's 30 s)."""
RAREST = 120.0
"""Seconds between two reports of an object whose clusters still have not all answered, at most."""
PAUSE = (0.1, 1.0)
"""Seconds between two writes for every ten clusters, and at most, where each change has all its answers at once."""
QUIET = 1.0
"""Seconds without news that members' statuses are waited for before they are reported: most changes settle in several
steps, which are one write then."""
LONGEST_NEWS = 5.0
"""Seconds after which news of members' statuses is reported though there is always more, as in a rolling update."""
BETWEEN_NEWS = 1.0
"""Seconds between two writes, the later one for members' statuses."""
REST = (100, 25e-6)
"""Clusters from which on an object has a rest between two plans, and its seconds for each of them: three times what a
plan takes."""


def settle(clusters: int, *, goes: bool = False, by_agents: bool = False) -> float:
    """Seconds after a plan for so many clusters when it is reported though not all have answered.

    `goes`: the object is being deleted and no cluster has failed to. Its status goes with it, so that only a removal
    that hangs is worth a report. `by_agents`: some of the clusters have agents that have been told.
    """
    if goes:
        return REMIND
    base, each, most = SETTLE
    return max(min(base + each * clusters, most), BY_AGENTS if by_agents else 0.0)


def pause(clusters: int) -> float:
    """Seconds after a write before which no other is made, though every cluster has answered."""
    each, most = PAUSE
    return min(each * (clusters // 10), most)


def collect(since: float, last: float, reported: float, *, incomplete: bool) -> float:
    """When news of members' statuses is reported, which came `since` then and for the `last` time then.

    `reported` is when the status was written before. `incomplete`: more that is known to come is waited for.
    """
    longest = REMIND if incomplete else LONGEST_NEWS
    return max(min(last + QUIET, since + longest), reported + BETWEEN_NEWS)


def rest(clusters: int) -> float:
    """Seconds after a plan before which there is no other that its user does not wait for.

    Each of its clusters may have news, and each plan is for all of them: a thousand copies that somebody changes, one
    after another, would be a thousand plans for a thousand clusters.
    """
    many, each = REST
    return each * clusters if clusters >= many else 0.0


def following(elapsed: float) -> float:
    """Seconds after its plan of the next report, `elapsed` seconds after it."""
    return REMIND if elapsed < REMIND else elapsed + min(elapsed, RAREST)
