"""When an agent's certificate is renewed, and what it means that it has ended."""

from federation.core import times

_EARLIEST, _LATEST = 0.75, 0.85
SOONEST = 5.0
"""Seconds between two tries, at least."""


def due(begins: float, ends: float, jitter: float) -> float:
    """When to renew, in unix seconds: about a fifth of its life is left then (OCM). `jitter` is from 0 to 1.

    Certificates that were issued together are not renewed together.
    """
    return begins + (ends - begins) * (_EARLIEST + (_LATEST - _EARLIEST) * jitter)


def again(tries: int, left: float, jitter: float) -> float:
    """Seconds until the next try after so many that have failed, with so many seconds of its life left.

    Twice as long each time, at most an hour, and never so long that the certificate ends before three more tries.
    """
    wait = min(SOONEST * 2.0 ** min(tries, 12), 3600.0, max(SOONEST, left / 4))
    return wait * (0.8 + 0.4 * jitter)


def ended(cluster: str, ends: float) -> str:
    """What to tell, and the remedy, when the certificate has ended: it cannot be renewed with itself."""
    return (
        f"the certificate of cluster {cluster} at the hub ended at {times.rfc3339(ends)}, while it could not be "
        "renewed. What is here stays as it is and is still kept so. To connect it again: fedctl token create at the "
        "hub, then the fedctl register that it prints here, then fedctl accept at the hub"
    )
