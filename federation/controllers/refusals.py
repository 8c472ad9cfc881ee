"""What the hub refuses us: one warning in the log for each cause, and a metric; the work is tried again.

A hub that is away is no refusal: it is waited for. One that goes on failing for one object is (a webhook that is down).
"""

import time
from collections import OrderedDict

import structlog

from federation.model.failures import Failure
from federation.model.resources import Key
from federation.runtime import metrics

LASTING = 30.0
"""Seconds after which a failure that may pass by itself is reported like a refusal."""
AGAIN = 600.0
"""Seconds between two warnings of one cause."""
REMEMBERED = 4096

log = structlog.get_logger()


class Refusals:
    """Remembers since when what is refused, and which warnings were logged."""

    def __init__(self) -> None:
        self._since: OrderedDict[tuple[Key, str], float] = OrderedDict()
        self._warned: dict[tuple[str, str, str], tuple[float, int]] = {}

    def record(self, key: Key, what: str, failure: Failure) -> bool:
        """The hub did not accept `what` of an object; whether that is to be reported to its user."""
        if failure.concerns == "race":
            return False
        now = time.monotonic()
        since = self._since.setdefault((key, what), now)
        while len(self._since) > REMEMBERED:
            self._since.popitem(last=False)
        if failure.concerns == "member" and now - since < LASTING:
            return False
        metrics.HUB_REFUSALS.labels(key.type, what).inc()
        cause = (key.type, what, failure.kind.name)
        warned, others = self._warned.get(cause, (-AGAIN, 0))
        if now - warned < AGAIN:
            self._warned[cause] = warned, others + 1
            return True
        self._warned[cause] = now, 0
        log.warning("hub refuses", what=what, key=str(key), reason=failure.message, refused_since_last_time=others)
        return True

    def accepted(self, key: Key, what: str) -> None:
        """The hub accepted it: a later refusal is a new one."""
        if self._since:
            self._since.pop((key, what), None)
