"""Objects that run to completion: what has run in a cluster and is gone does not run there again by itself. Pure.

A Job that its ttlSecondsAfterFinished removed, or that somebody tidied away, looks like any deleted copy; put back, it
would run again and again. Such an object runs once per manifest and cluster. Only one that is seen to go before it has
finished is put back, as any other copy. Where nobody has seen it go (a restart, a watch that was interrupted) it is
taken to have finished: to run something twice that should run once is worse than to wait for its user.
"""

from collections.abc import Callable, Mapping
from typing import Any

from federation.core import managedfields
from federation.core.fieldsets import Fields
from federation.core.managedfields import PartialMetadata
from federation.model import marks
from federation.model.federated import FederatedType

MESSAGE = (
    "ran here once and is gone, so it does not run again; it will when its template changes (an annotation will do)"
)
_JOBS = "jobs.batch"
_PODS = "pods"
_UNTIL_DONE = ("Never", "OnFailure")


def runs_once(annotations: Mapping[str, str], enabled: FederatedType, manifest: Mapping[str, Any]) -> bool:
    """Whether an object is to run once per manifest: Jobs, Pods that are not restarted, what its user annotates so."""
    asked = annotations.get(marks.RUN_ONCE_ANNOTATION)
    if asked in {"true", "false"}:
        return asked == "true"
    spec = manifest.get("spec")
    if enabled.target.qualified == _PODS:
        return isinstance(spec, dict) and spec.get("restartPolicy") in _UNTIL_DONE
    return enabled.target.qualified == _JOBS


def may_run_once(annotations: Mapping[str, str], enabled: FederatedType) -> bool:
    """Whether `runs_once` may be true of an object, whatever its manifest."""
    asked = annotations.get(marks.RUN_ONCE_ANNOTATION)
    return asked == "true" or (asked != "false" and enabled.target.qualified in _OVER)


def shows_its_end(enabled: FederatedType) -> bool:
    """Whether an object of the type shows itself whether it has run."""
    return enabled.target.qualified in _OVER


def interrupted(enabled: FederatedType, meta: PartialMetadata) -> bool:
    """Whether an object that has just gone is seen not to have finished; `meta` is its last.

    A Job's status shows it without its values: a completion time, or conditions after a start with no Pod left active
    (it failed). A Suspended condition alone has no start. A Pod's shows only whether a node ever started it; one that
    none did has certainly not run. Of other types nothing is seen.
    """
    over = _OVER.get(enabled.target.qualified)
    if over is None:
        return False
    statuses = [managedfields.fields_of(entry) for entry in meta.managed_fields if entry.subresource == "status"]
    return not any(over(fields.get("f:status", {})) for fields in statuses)


def _started(status: Fields) -> bool:
    return "f:startTime" in status


def _finished(status: Fields) -> bool:
    failed = "f:conditions" in status and "f:startTime" in status and "f:active" not in status
    return failed or "f:completionTime" in status


_OVER: Mapping[str, Callable[[Fields], bool]] = {_JOBS: _finished, _PODS: _started}
"""For each type whose status shows it: whether an object with these fields has run, or may have."""
