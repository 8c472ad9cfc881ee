"""Report that a copy has left a member, or was released there: log line, metric, and event unless its user deleted it.

Whoever misses an object finds here why it went, where, and by whose change. Called by sync when a member has accepted
the removal, once per copy.
"""

import structlog

from federation.controllers.learning import Turn
from federation.controllers.outcomes import Outcome
from federation.controllers.ports import EventRecorder
from federation.model.plan import Delete, Release, RemovalCause, RemovalReason
from federation.runtime import metrics

log = structlog.get_logger()


def report(turn: Turn, outcome: Outcome, events: EventRecorder | None) -> None:
    """One removal that a member has accepted; not reported where nothing was, or where another hub's object stays."""
    action, key, cluster = turn.action, turn.key, turn.cluster
    if not outcome.removed or not isinstance(action, Delete | Release):
        return
    left = turn.track.leaving.get(cluster)
    if (isinstance(action, Release) and action.keep_label) or (left is not None and left.uid == action.uid):
        return  # sent again, because no event has confirmed the first
    why = action.reason if action.reason is not None else RemovalReason()
    metrics.REMOVALS.labels(key.type, outcome.removed, why.cause.value).inc()
    facts = {"why": why.cause.value, "change": why.change, "kept": why.kept}
    known = {name: fact for name, fact in facts.items() if fact}
    log.info("copy removed", key=str(key), cluster=cluster, how=outcome.removed, **known)
    if events is not None and (why.cause is not RemovalCause.DELETION or why.unexpected):
        reason = "; ".join(filter(None, (why.change, why.kept)))
        events.removed(key, cluster, f"{outcome.removed}: {reason}")
