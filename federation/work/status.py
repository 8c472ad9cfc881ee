"""The status of a ManifestWork: conditions of each manifest and of the work, in Open Cluster Management's words.

Equal facts give the same status, and one that is as it was written last is not written again. A condition's time moves
when its status does (Kubernetes API convention), so the previous status is one of the facts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federation.core import scrubbing, times
from federation.model.works import COMPLETE, Work
from federation.work.feedback import EVALUATED, Evaluated, Values

APPLIED, AVAILABLE, FEEDBACK = "Applied", "Available", "StatusFeedbackSynced"
DELETING, PROGRESSING = "Deleting", "Progressing"
_OWN = frozenset({APPLIED, AVAILABLE, DELETING})
FAILED = "AppliedManifestFailed"
_LONGEST_MESSAGE = 1_024
_AGGREGATED = "ConditionRulesAggregated"
_RULE = "ConditionRule"
"""What the reasons of conditions begin with that a rule gave."""

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """A condition without its time. `status` is True, False or Unknown."""

    type: str
    status: str
    reason: str
    message: str


APPLIED_OK = Said(APPLIED, "True", "AppliedManifestComplete", "Apply manifest complete")
AVAILABLE_OK = Said(AVAILABLE, "True", "ResourceAvailable", "Resource is available")
MISSING = Said(AVAILABLE, "False", "ResourceNotAvailable", "Resource is not available")
OUTGOING = Said(DELETING, "True", "ManifestRemoving", "The work does not name it any more, and it is not gone yet")
UNKNOWN = Said(AVAILABLE, "Unknown", "IncompleteResourceMeta", "Resource meta is incomplete")


def failed(message: str, reason: str = FAILED) -> Said:
    """A manifest that was not applied, and why."""
    return Said(APPLIED, "False", reason, scrubbing.line(message, _LONGEST_MESSAGE))


def unread(message: str) -> Said:
    """An object of which it is not known whether it is there."""
    text = scrubbing.line(f"Failed to fetch resource: {message}", _LONGEST_MESSAGE)
    return Said(AVAILABLE, "Unknown", "FetchingResourceFailed", text)


Place = tuple[str, str, str, str]
"""An object in a status: its group, kind, namespace and name."""


@dataclass(frozen=True, slots=True)
class Run:
    """What has run, by the condition Complete: of which objects, and whether the work as a whole has (`finished`).

    None of it is applied again.
    """

    completed: frozenset[Place] = frozenset()
    finished: bool = False

    def union(self, other: "Run") -> "Run":
        """What has run by either."""
        return Run(self.completed | other.completed, self.finished or other.finished)


NOTHING_RAN = Run()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one manifest. `resource` is the plural, "" where it is not known.

    Of an object that is named no more, and is not gone yet, `applied` is OUTGOING.
    """

    ordinal: int
    group: str
    version: str
    kind: str
    resource: str
    namespace: str
    name: str
    applied: Said
    available: Said
    values: Values | None = None
    evaluated: tuple[Evaluated, ...] = ()


def of(
    work: Work, outcomes: Sequence[Outcome], previous: Json, now: float, *, deleting: bool = False, frozen: bool = False
) -> Json | None:
    """The status to write; None where the previous one says the same.

    `frozen`: the work has run, so that nothing of its present generation is applied, nor said to be.
    """
    stamp = times.rfc3339(now)
    before = _manifests(previous)
    manifests = [
        _manifest(each, before.get(_key(each), {}), work.generation, stamp, frozen=frozen) for each in outcomes
    ]
    said = _of_work(work, outcomes)
    if deleting:
        said.append(Said(DELETING, "True", "WorkDeleting", "ManifestWork is being deleted"))
    conditions = _conditions(said, previous.get("conditions"), work.generation, stamp, frozen=frozen)
    status: dict[str, Any] = {"conditions": conditions + _others(said, previous.get("conditions"))}
    if manifests:
        status["resourceStatus"] = {"manifests": manifests}
    return None if status == previous else status


def _of_work(work: Work, outcomes: Sequence[Outcome]) -> list[Said]:
    if work.problem:
        message = scrubbing.line(work.problem, _LONGEST_MESSAGE)
        return [Said(APPLIED, "False", "AppliedManifestWorkFailed", message)]
    bad = [each for each in outcomes if each.applied.status != "True"]
    if bad:
        applied = Said(APPLIED, "False", "AppliedManifestWorkFailed", "Failed to apply manifest work")
    else:
        applied = Said(APPLIED, "True", "AppliedManifestWorkComplete", "Apply manifest work complete")
    return [applied, _available(outcomes), *_aggregated(outcomes)]


def _available(outcomes: Sequence[Outcome]) -> Said:
    total = len(outcomes)
    missing = sum(each.available.status == "False" for each in outcomes)
    unknown = sum(each.available.status == "Unknown" for each in outcomes)
    if missing:
        message = f"{missing} of {total} resources are not available"
        return Said(AVAILABLE, "False", "ResourcesNotAvailable", message)
    if unknown:
        message = f"{unknown} of {total} resources have unknown status"
        return Said(AVAILABLE, "Unknown", "ResourcesStatusUnknown", message)
    return Said(AVAILABLE, "True", "ResourcesAvailable", "All resources are available")


def _aggregated(outcomes: Sequence[Outcome]) -> list[Said]:
    """Conditions that rules give, over all manifests that have such a rule: False wins over Unknown, that over True.

    Something progresses where one manifest does.
    """
    found: dict[str, list[Evaluated]] = {}
    for outcome in outcomes:
        for each in outcome.evaluated:
            found.setdefault(each.condition, []).append(each)
    said = []
    for condition, rules in sorted(found.items()):
        if condition in _OWN:
            continue  # a rule does not decide about what the agent itself knows
        statuses = [each.status for each in rules]
        order = ("True", "Unknown", "False") if condition == PROGRESSING else ("False", "Unknown", "True")
        first = next(each for each in order if each in statuses)
        message = rules[0].message if len(rules) == 1 else f"Aggregated from {len(rules)} manifest conditions"
        said.append(Said(condition, first, _AGGREGATED, scrubbing.line(message, _LONGEST_MESSAGE)))
    return said


def _manifest(outcome: Outcome, before: Json, generation: int, stamp: str, *, frozen: bool) -> dict[str, Any]:
    said = [outcome.applied, outcome.available]
    values = list(outcome.values.values) if outcome.values is not None else []
    if outcome.values is not None:
        problem = outcome.values.problem
        said.append(
            Said(FEEDBACK, "False", "StatusFeedbackSyncFailed", f"Sync status feedback failed with error {problem}")
            if problem
            else Said(FEEDBACK, "True", "StatusFeedbackSynced", "")
        )
    own = {APPLIED, AVAILABLE, FEEDBACK}
    said += [
        Said(each.condition, each.status, each.reason, each.message)
        for each in outcome.evaluated
        if each.condition not in own
    ]
    written: dict[str, Any] = {
        "resourceMeta": {
            "ordinal": outcome.ordinal,
            "group": outcome.group,
            "version": outcome.version,
            "kind": outcome.kind,
            "resource": outcome.resource,
            "namespace": outcome.namespace,
            "name": outcome.name,
        },
        "conditions": _conditions(said, before.get("conditions"), generation, stamp, frozen=frozen),
    }
    if values:
        written["statusFeedback"] = {"values": values}
    if (before.get("statusFeedback") or {}) != written.get("statusFeedback", {}):
        for condition in written["conditions"]:  # its time is that of the values
            if condition["type"] == FEEDBACK:
                condition["lastTransitionTime"] = stamp
    return written


def _conditions(
    said: Iterable[Said], previous: object, generation: int, stamp: str, *, frozen: bool
) -> list[dict[str, Any]]:
    known = {
        each.get("type"): each for each in (previous if isinstance(previous, list) else ()) if isinstance(each, dict)
    }
    return [
        dict(old)
        if frozen and each.type == APPLIED and old
        else {
            "type": each.type,
            "status": each.status,
            "reason": each.reason,
            "message": each.message,
            "observedGeneration": generation,
            "lastTransitionTime": old.get("lastTransitionTime", stamp) if old.get("status") == each.status else stamp,
        }
        for each in said
        for old in (known.get(each.type, {}),)
    ]


def _others(said: Sequence[Said], previous: object) -> list[Json]:
    """Conditions of the work that somebody else has written: they stay. Those of rules that are no more do not."""
    ours = {APPLIED, AVAILABLE, DELETING, *(each.type for each in said)}
    return [
        each
        for each in (previous if isinstance(previous, list) else ())
        if isinstance(each, dict) and each.get("type") not in ours and each.get("reason") != _AGGREGATED
    ]


def _manifests(previous: Json) -> dict[Place, Json]:
    status = previous.get("resourceStatus")
    found = status.get("manifests") if isinstance(status, dict) else None
    known: dict[Place, Json] = {}
    for each in found if isinstance(found, list) else ():
        meta = each.get("resourceMeta") if isinstance(each, dict) else None
        if isinstance(meta, dict):
            group, kind, namespace, name = (str(meta.get(key, "")) for key in ("group", "kind", "namespace", "name"))
            known[group, kind, namespace, name] = each
    return known


def _key(outcome: Outcome) -> Place:
    return outcome.group, outcome.kind, outcome.namespace, outcome.name


def run(previous: Json) -> Run:
    """What has run by a stored status."""
    completed = frozenset(
        key for key, each in _manifests(previous).items() if _condition(each, COMPLETE).get("status") == "True"
    )
    return Run(completed, is_complete(previous))


def ran(outcomes: Sequence[Outcome]) -> Run:
    """What has run by what the rules say now."""
    said = {
        _key(each): rule.status == "True" for each in outcomes for rule in each.evaluated if rule.condition == COMPLETE
    }
    completed = frozenset(key for key, true in said.items() if true)
    return Run(completed, bool(completed) and len(completed) == len(said))


def carried(key: Place, conditions: Sequence[str], previous: Json, known: Run) -> tuple[Evaluated, ...]:
    """What rules said of an object that is not there, or was not read yet: it still counts. A Job that has run and was
    taken away afterwards has run."""
    before = _manifests(previous).get(key, {})
    found = []
    for condition in conditions:
        old = _condition(before, condition)
        if condition == COMPLETE and key in known.completed and old.get("status") != "True":
            found.append(Evaluated(condition, "True", EVALUATED, f"Manifest is {COMPLETE}"))
        elif str(old.get("reason", "")).startswith(_RULE):
            found.append(Evaluated(condition, *(str(old.get(each, "")) for each in ("status", "reason", "message"))))
    return tuple(found)


def is_complete(previous: Json) -> bool:
    """Whether a stored status says that the work is complete: it may be deleted after its ttlSecondsAfterFinished."""
    return _condition(previous, COMPLETE).get("status") == "True"


def expires(work: Work, previous: Json) -> float | None:
    """When a complete work may be deleted by its hub, in seconds of the epoch; None where it may not."""
    if work.ttl is None or not is_complete(previous):
        return None
    since = times.moment(_condition(previous, COMPLETE).get("lastTransitionTime"))
    return since.timestamp() + max(0, work.ttl) if since is not None else None


def _condition(status: Json, name: str) -> Json:
    found = status.get("conditions")
    for each in found if isinstance(found, list) else ():
        if isinstance(each, dict) and each.get("type") == name:
            return each
    return {}
