"""Objects that a list or a watch brings and that cannot be read: each is logged and counted once."""

from typing import Any, Protocol

import structlog

from federation.core import scrubbing
from federation.runtime import metrics

MOST_NOTED = 1_000
"""Objects of one collection."""

log = structlog.get_logger()


class Readable(Protocol):
    """What decoders make of an object."""

    @property
    def broken(self) -> str:
        """Why it cannot be read; "" where it can."""


class Unreadable:
    """Those of one collection, `what`, of one cluster."""

    def __init__(self, cluster: str, what: str) -> None:
        self._cluster = cluster
        self._what = what
        self._noted: set[str] = set()

    def note(self, item: Readable) -> None:
        """This one cannot be read; the consequence is reported in its own status."""
        metadata: Any = getattr(item, "metadata", item)
        name = f"{metadata.namespace}/{metadata.name}".removeprefix("/")
        if name in self._noted or len(self._noted) >= MOST_NOTED:
            return
        self._noted.add(name)
        metrics.UNREADABLE.labels(self._cluster, self._what).inc()
        log.warning(
            "object cannot be read",
            cluster=self._cluster,
            resource=self._what,
            object=scrubbing.line(name),
            reason=item.broken,
        )
