"""Fold what happened in every cluster into a federated object's status; the last step of a reconcile, before report.

Conditions are KubeFed's Propagation (pkg/controller/sync/status/status.go: its status is "True" only without a reason)
and our Ready and Stalled, which kstatus, `kubectl wait` and Argo CD understand unasked; Stalled is there only while it
is True, so that it costs a healthy object nothing. Healthy (`wellbeing`) is there where statuses are collected. The
same facts give the very same Status object back, so that nothing is written when nothing changed. The whole stays
within a budget: see `budget`.
"""

import re
from collections.abc import Iterator, Sequence, Set
from typing import Any, NamedTuple

import msgspec

from federation.core import budget, remotestatus, sharing
from federation.core.holds import Held
from federation.core.wellbeing import NOT_COLLECTED, Wellbeing
from federation.model.conditions import ConditionType, Phase, PropagationStatus, Reason, phase
from federation.model.failures import Failure, FailureKind
from federation.model.status import ClusterStatus, Condition, Status

_NAMED = 3
_OURS = frozenset(ConditionType)
_REMOTE_STATUS = re.compile(r"status\.clusters\[(\d{1,6})\]\.remoteStatus\.?(.*)", re.DOTALL)
"""The field of a cause: the line's place in status.clusters, and the place in its remoteStatus."""
_LEFT_OUT = re.compile(r"; (\d{1,9}) lines are left out below: the status is full(?:; |$)")
_NO_REMOTE_STATUS = "its remoteStatus is left out: "
_DECODER = msgspec.json.Decoder(Status)


def fold(
    previous: Status | None,
    *,
    generation: int,
    reason: Reason,
    message: str,
    clusters: Sequence[ClusterStatus],
    selected: Set[str],
    now: str,
    unjoined: Sequence[str] = (),
    stalled: Set[str] = frozenset(),
    nowhere: str = "",
    ready_reason: Reason = Reason.OK,
    deleting: bool = False,
    held: str = "",
    deletions: Held | None = None,
    wellbeing: Wellbeing = NOT_COLLECTED,
) -> Status:
    """The status after a reconcile of `generation`; `previous` itself when nothing has changed.

    `reason` and `message` are the plan's, for the object as a whole. `clusters` are all lines, in any order: of the
    `selected` clusters and of those a copy still has to leave; a line's generation 0 means `generation`. `unjoined` are
    placed names that are no cluster's. `stalled` are clusters that only a change of the object can help. `nowhere` is
    why no cluster is selected, `ready_reason` is the reason that Ready gives then. `deleting`: the object itself is
    being deleted. `held` is why a rollout holds clusters to older generations, `deletions` what of copies is not
    removed, `wellbeing` what the members' statuses say together. `now` is RFC 3339.
    """
    before = previous if previous is not None else Status()
    failing = {line.name: line for line in before.clusters if line.status}
    lines = [_line(line, failing.get(line.name), generation, now) for line in clusters]
    lines.sort(key=_by_name)
    fitted = _fitted(lines, before)
    cause = reason or (Reason.CHECK_CLUSTERS if any(line.status for line in lines) else Reason.OK)
    message = budget.cut(message, budget.MESSAGE) if reason else ""
    propagation = Condition(
        ConditionType.PROPAGATION, "False" if cause else "True", cause.value, message, observed_generation=generation
    )
    counted = _Counted.of(lines, selected, unjoined, nowhere)
    ready = (
        _deleting(lines, generation, fitted)
        if deleting
        else _ready(counted, generation, reason, message, fitted, ready_reason=ready_reason, held=held)
    )
    ours = (
        propagation,
        ready,
        *_stalled(lines, stalled, generation, reason, message),
        *_held(deletions, generation),
        *((wellbeing.condition,) if wellbeing.condition is not None else ()),
    )
    conditions = _with_times(ours, before, now, propagated=fitted.lines != before.clusters)
    status = Status(generation, conditions, fitted.lines, wellbeing.summary)
    return previous if previous is not None and status == previous else status


def with_conditions_of_others(ours: Status, stored: Status) -> Status:
    """Our status with the conditions of others that the hub stores now: those are not ours to put back or take away."""
    mine = tuple(each for each in ours.conditions if each.type in _OURS)
    theirs = tuple(each for each in stored.conditions if each.type not in _OURS)
    conditions = mine + theirs
    return ours if conditions == ours.conditions else msgspec.structs.replace(ours, conditions=conditions)


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
    if new.summary != before.summary:
        body["summary"] = new.summary
    return msgspec.json.encode({"status": body}) if body else None


def refused_statuses(lines: Sequence[ClusterStatus], sent: Status, failure: Failure) -> dict[str, str]:
    """The clusters of `lines` for whose remoteStatus the hub refused `sent`, each with the reason; none: not for that.

    The hub's schema of remoteStatus is of one version of the type, a member may run another: what does not fit is that
    cluster's loss alone. Where the refusal names no cluster (too large), all lose theirs.
    """
    collected = {line.name for line in lines if line.remote_status is not msgspec.UNSET}
    if not collected or failure.kind not in (FailureKind.INVALID, FailureKind.TOO_LARGE):
        return {}
    refused: dict[str, str] = {}
    for cause in failure.causes:
        found = _REMOTE_STATUS.match(cause.field)
        if found is not None and int(found[1]) < len(sent.clusters):
            refused.setdefault(sent.clusters[int(found[1])].name, f" at {found[2]}" if found[2] else "")
    blamed = {name: where for name, where in refused.items() if name in collected} or dict.fromkeys(collected, "")
    return {name: f"the hub refuses it{where}" for name, where in blamed.items()}


def without_remote_status(line: ClusterStatus, why: str) -> ClusterStatus:
    """The line with this reason in place of its remoteStatus; at the beginning, for what a cluster drops stands at the
    end (core.drops.from_message)."""
    text = f"{_NO_REMOTE_STATUS}{why}"
    message = "; ".join(filter(None, (text, line.message)))
    if line.message.startswith(_NO_REMOTE_STATUS):
        message = line.message  # a line that is said again as it is stored
    return msgspec.structs.replace(line, message=message, remote_status=msgspec.UNSET)


def parse(raw: bytes | msgspec.Raw) -> Status:
    """The stored status; an empty one when there is none or it cannot be read, so that it is written anew."""
    data = memoryview(raw)
    if not data:
        return Status()
    try:
        status = _DECODER.decode(data)
    except msgspec.MsgspecError:
        return Status()
    lines = sharing.interned([_canonical(line) for line in status.clusters])
    return msgspec.structs.replace(status, clusters=lines)


def _canonical(line: ClusterStatus) -> ClusterStatus:
    """A stored line with its remoteStatus in the form in which a new one is written, and in bytes of its own."""
    remote = line.remote_status
    if isinstance(remote, msgspec.UnsetType):
        return line
    return msgspec.structs.replace(line, remote_status=remotestatus.canonical(remote))


def _by_name(line: ClusterStatus) -> str:
    return line.name


def _line(line: ClusterStatus, before: ClusterStatus | None, generation: int, now: str) -> ClusterStatus:
    since = "" if not line.status else before.since if before is not None and before.status == line.status else now
    applied = 0 if line.generation == generation else line.generation
    same = applied == line.generation and since == line.since
    return line if same else msgspec.structs.replace(line, generation=applied, since=since)


def _fitted(lines: Sequence[ClusterStatus], before: Status) -> budget.Fitted:
    """The lines as they are stored."""
    fitted = budget.fit(sharing.share(lines))
    if fitted.lines != before.clusters and sharing.equivalent(fitted.lines, before.clusters):
        # The same in another form, such as an earlier version's: no reason to write, and no change.
        return fitted._replace(lines=before.clusters)
    return fitted


def _with_times(ours: Sequence[Condition], before: Status, now: str, *, propagated: bool) -> tuple[Condition, ...]:
    """Our conditions with their times, and those of others as they are."""
    old = {condition.type: condition for condition in before.conditions}
    # KubeFed moves Propagation's lastUpdateTime when a cluster's line changes: something was propagated.
    timed = (
        _condition(old.get(new.type), new, now, changed=propagated and new.type == ConditionType.PROPAGATION)
        for new in ours
    )
    return (*timed, *(condition for condition in before.conditions if condition.type not in _OURS))


def _condition(old: Condition | None, new: Condition, now: str, *, changed: bool = False) -> Condition:
    """`new` with its times: lastTransitionTime of the last change of status, lastUpdateTime of the last change."""
    if old is None:
        return msgspec.structs.replace(new, last_update_time=now, last_transition_time=now)
    transition = now if old.status != new.status else old.last_transition_time
    timed = msgspec.structs.replace(new, last_update_time=old.last_update_time, last_transition_time=transition or now)
    return msgspec.structs.replace(timed, last_update_time=now) if changed or timed != old else timed


class _Counted(NamedTuple):
    """How the selected clusters stand, and which others a copy still has to leave."""

    selected: int
    missing: tuple[ClusterStatus, ...]
    leaving: tuple[str, ...]
    unjoined: tuple[str, ...]
    nowhere: str

    @classmethod
    def of(
        cls, lines: Sequence[ClusterStatus], selected: Set[str], unjoined: Sequence[str], nowhere: str
    ) -> "_Counted":
        missing = [line for line in lines if line.name in selected and (line.status or line.generation)]
        silent = selected - {line.name for line in lines} if selected else selected
        if silent:
            missing += [ClusterStatus(name, PropagationStatus.PENDING) for name in silent]
            missing.sort(key=_by_name)
        leaving = tuple(line.name for line in lines if line.name not in selected)
        return cls(len(selected), tuple(missing), leaving, tuple(unjoined), nowhere)


def _ready(
    counted: _Counted,
    generation: int,
    reason: Reason,
    message: str,
    fitted: budget.Fitted,
    *,
    ready_reason: Reason,
    held: str,
) -> Condition:
    """True means that every selected cluster has applied this generation; whether it works there is not looked at.

    That is so, too, where no cluster is selected: what is placed nowhere on purpose must not hold up a Flux
    Kustomization or a Helm release for ever. Its reason and its message are others, so that a person stops.
    """
    missing = counted.missing
    applied = counted.selected - len(missing)
    parts = [message] if message else []
    if missing and held:
        parts.append(held)
    if missing:
        parts.append(f"{applied} of {counted.selected} clusters have applied generation {generation}")
        parts.extend(
            f"{line.name}: {line.status or f'has applied generation {line.generation}'}" for line in missing[:_NAMED]
        )
        if len(missing) > _NAMED:
            parts.append(f"and {len(missing) - _NAMED} more")
    elif applied:
        parts.append(f"{applied} cluster{' has' if applied == 1 else 's have'} applied generation {generation}")
    elif ready_reason:
        parts.append(counted.nowhere)
    elif not message:
        parts.append(f"no cluster is selected: {counted.nowhere}" if counted.nowhere else "no cluster is selected")
    if counted.unjoined:
        parts.append(f"no cluster has joined as {some(counted.unjoined)}")
    if counted.leaving:
        parts.append(f"still to be removed from {some(counted.leaving)}")
    parts.extend(_cut(fitted))
    if reason:
        why = reason
    elif not missing:
        why = Reason.PROPAGATED if counted.selected else ready_reason or Reason.NO_CLUSTER_SELECTED
    else:
        under_way = all(phase(line.status) in {Phase.APPLIED, Phase.UNDER_WAY} for line in missing)
        waiting = (
            Reason.HELD if held and not any(line.status == PropagationStatus.PENDING for line in missing) else None
        )
        why = (waiting or Reason.PROGRESSING) if under_way else Reason.CHECK_CLUSTERS
    status = "True" if not reason and not missing else "False"
    return Condition(ConditionType.READY, status, why, "; ".join(parts), observed_generation=generation)


def _cut(fitted: budget.Fitted) -> Iterator[str]:
    """What is not in the lines below, as Ready's message ends; `left_out` reads it."""
    if fitted.left_out:
        yield f"{fitted.left_out} lines are left out below: the status is full"
    if fitted.without_message:
        yield f"{fitted.without_message} messages are left out below: the status is full"
    if fitted.without_report:
        yield f"of {fitted.without_report} clusters it is left out below how much is ready: the status is full"
    if fitted.without_remote:
        yield f"{fitted.without_remote} remoteStatus are left out below: the status is full"


def left_out(message: str) -> int:
    """How many lines a status does not have, by the message of its condition Ready."""
    found = _LEFT_OUT.search(message)
    return int(found[1]) if found is not None else 0


def _deleting(lines: Sequence[ClusterStatus], generation: int, fitted: budget.Fitted) -> Condition:
    """Not True: its user waits until it is gone, and it stays while a cluster has a copy."""
    under_way = all(phase(line.status) in {Phase.APPLIED, Phase.UNDER_WAY, Phase.REMOVING} for line in lines)
    why = Reason.PROGRESSING if under_way else Reason.CHECK_CLUSTERS
    left = f"; still to be removed from {some([line.name for line in lines])}" if lines else ""
    message = "; ".join((f"the object is being deleted{left}", *_cut(fitted)))
    return Condition(ConditionType.READY, "False", why, message, observed_generation=generation)


def _stalled(
    lines: Sequence[ClusterStatus], stalled: Set[str], generation: int, reason: Reason, message: str
) -> tuple[Condition, ...]:
    """Stalled when trying again is no use: kstatus then reports Failed with this message and waits no longer."""
    if reason.stalls:
        return (Condition(ConditionType.STALLED, "True", reason, message, observed_generation=generation),)
    failing = [line for line in lines if line.name in stalled]
    if not failing:
        return ()
    parts = [
        f"{line.name}: {line.status}" + (f": {budget.cut(line.message, budget.MESSAGE)}" if line.message else "")
        for line in failing[:_NAMED]
    ]
    if len(failing) > _NAMED:
        parts.append(f"and {len(failing) - _NAMED} more")
    return (
        Condition(ConditionType.STALLED, "True", failing[0].status, "; ".join(parts), observed_generation=generation),
    )


def _held(deletions: Held | None, generation: int) -> tuple[Condition, ...]:
    """DeletionsHeld while copies are not removed: the cluster's lines say so, too, but they may be cut."""
    if deletions is None:
        return ()
    message = f"not removed from {some(deletions.clusters)}: {deletions.message}"
    kind = ConditionType.DELETIONS_HELD
    return (Condition(kind, "True", deletions.reason.value, message, observed_generation=generation),)


def some(names: Sequence[str]) -> str:
    """The first of these clusters, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
