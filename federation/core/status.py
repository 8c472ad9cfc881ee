"""Fold what happened in every cluster into a federated object's status; the last step of a reconcile, before report.

Conditions are KubeFed's Propagation (pkg/controller/sync/status/status.go: its status is "True" only without a reason)
and our Ready, which kstatus, `kubectl wait` and Argo CD understand unasked. The same facts give the very same Status
object back, so that nothing is written when nothing changed. The whole stays within a budget: see `budget`.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from federation.core import budget
from federation.model.status import ClusterStatus, Condition, Status
from federation.model.words import Propagation, Word

_REMOVAL = frozenset(
    {
        Word.WAITING_FOR_REMOVAL,
        Word.DELETION_FAILED,
        Word.DELETION_TIMED_OUT,
        Word.LABEL_REMOVAL_FAILED,
        Word.LABEL_REMOVAL_TIMED_OUT,
    }
)
_UNDER_WAY = frozenset({Word.PENDING, Word.WAITING_FOR_REMOVAL})
_NAMED = 3


def fold(
    previous: Status | None,
    *,
    generation: int,
    reason: Propagation,
    message: str,
    clusters: Sequence[ClusterStatus],
    now: str,
) -> Status:
    """The status after a reconcile of `generation`; `previous` itself when it says the same.

    `reason` and `message` are the plan's, for the object as a whole. `clusters` are all lines, in any order: placed
    clusters and those a copy still has to leave; a line's generation 0 means `generation`. `now` is RFC 3339.
    """
    lines = [_line(line, generation) for line in clusters]
    lines.sort(key=_by_name)
    kept = budget.fit(lines)
    before = previous if previous is not None else Status()
    old = {condition.type: condition for condition in before.conditions}
    cause = reason or (Propagation.CHECK_CLUSTERS if any(line.status for line in lines) else Propagation.OK)
    told = budget.cut(message, budget.MESSAGE) if reason else ""
    conditions = (
        _condition(
            old.get("Propagation"),
            Condition("Propagation", "False" if cause else "True", cause, told, observed_generation=generation),
            now,
            # KubeFed moves lastUpdateTime when a cluster's line does: something was propagated.
            changed=kept.lines != before.clusters,
        ),
        _condition(old.get("Ready"), _ready(lines, generation, reason, told, kept), now),
        *(condition for condition in before.conditions if condition.type not in ("Propagation", "Ready")),
    )
    status = Status(generation, conditions, kept.lines)
    return previous if previous is not None and status == previous else status


def patch(previous: Status | None, new: Status) -> bytes | None:
    """Body of a merge patch (RFC 7386) that turns the stored status into `new`; None when there is nothing to write.

    Only fields that differ are sent; a list that has become empty is removed.
    """
    if previous is new:
        return None
    before = previous if previous is not None else Status()
    body: dict[str, Any] = {}
    if new.observed_generation != before.observed_generation:
        body["observedGeneration"] = new.observed_generation
    if new.conditions != before.conditions:
        body["conditions"] = new.conditions or None
    if new.clusters != before.clusters:
        body["clusters"] = new.clusters or None
    return msgspec.json.encode({"status": body}) if body else None


def fingerprint(digest: str, entry: str) -> str:
    """What a line remembers of the last successful apply: `<manifest digest>.<managedFields entry digest>`."""
    return f"{digest}.{entry}"


def parse_fingerprint(text: str) -> tuple[str, str]:
    """(manifest digest, entry digest) of a fingerprint; both empty when it is not one, so that it matches nothing."""
    digest, dot, entry = text.partition(".")
    return (digest, entry) if digest and dot and entry and "." not in entry else ("", "")


def _by_name(line: ClusterStatus) -> str:
    return line.name


def _line(line: ClusterStatus, generation: int) -> ClusterStatus:
    return msgspec.structs.replace(line, generation=0) if line.generation == generation else line


def _condition(old: Condition | None, new: Condition, now: str, *, changed: bool = False) -> Condition:
    """`new` with its times: lastTransitionTime of the last change of status, lastUpdateTime of the last change."""
    if old is None:
        return msgspec.structs.replace(new, last_update_time=now, last_transition_time=now)
    transition = now if old.status != new.status else old.last_transition_time
    timed = msgspec.structs.replace(new, last_update_time=old.last_update_time, last_transition_time=transition or now)
    return msgspec.structs.replace(timed, last_update_time=now) if changed or timed != old else timed


def _ready(
    lines: Sequence[ClusterStatus], generation: int, reason: Propagation, told: str, kept: budget.Fitted
) -> Condition:
    placed = [line for line in lines if line.status not in _REMOVAL]
    leaving = [line for line in lines if line.status in _REMOVAL]
    missing = [line for line in placed if line.status or line.generation]
    held = len(placed) - len(missing)
    parts = [told] if told else []
    if missing:
        parts.append(f"{held} of {len(placed)} clusters hold generation {generation}")
        parts.extend(
            f"{line.name}: {line.status or f'holds generation {line.generation}'}" for line in missing[:_NAMED]
        )
        if len(missing) > _NAMED:
            parts.append(f"and {len(missing) - _NAMED} more")
    elif placed:
        parts.append(f"{held} cluster{' holds' if held == 1 else 's hold'} generation {generation}")
    elif not told:
        parts.append("no cluster is selected")
    if leaving:
        parts.append(f"still to be removed from {_names(leaving)}")
    if kept.left_out:
        parts.append(f"{kept.left_out} of {len(lines)} clusters are left out below: the status is full")
    if kept.unsaid:
        parts.append(f"{kept.unsaid} messages are left out below: the status is full")
    if reason:
        why: str = reason
    elif not missing:
        why = "Propagated"
    elif all(line.status in _UNDER_WAY or not line.status for line in missing):
        why = "Progressing"
    else:
        why = Propagation.CHECK_CLUSTERS
    status = "True" if not reason and not missing else "False"
    return Condition("Ready", status, why, "; ".join(parts), observed_generation=generation)


def _names(lines: Sequence[ClusterStatus]) -> str:
    more = f" and {len(lines) - _NAMED} more" if len(lines) > _NAMED else ""
    return ", ".join(line.name for line in lines[:_NAMED]) + more
