"""The limit of open files. A connection and a watch are a file each, so a thousand members need thousands."""

import resource

SENSIBLE = 1 << 16
"""For a system that sets no hard limit: enough, and no more than it allows nevertheless."""


def raise_limit() -> tuple[int, int]:
    """Raise the soft limit of this process, and of those it starts, to the hard one; returns both.

    Many systems set the soft one to 1,024 for programs that use select(), which we do not. A limit that cannot be
    raised stays.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SENSIBLE if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            return soft, hard
        soft = wanted
    return soft, hard


def is_unlimited(limit: int) -> bool:
    """Whether this limit is none."""
    return limit == resource.RLIM_INFINITY
