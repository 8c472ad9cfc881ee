"""Fold what happened in every cluster into a federated object's status; the last step of a reconcile, before report.

Conditions are KubeFed's Propagation (pkg/controller/sync/status/status.go: its status is "True" only without a reason)
and our Ready and Stalled, which kstatus, `kubectl wait` and Argo CD understand unasked; Stalled is there only while it
is True, so that it costs a healthy object nothing. The same facts give the very same Status
object back, so that nothing is written when nothing changed. The whole stays within a budget: see `budget`.
"""

import re
from collections.abc import Sequence, Set
from typing import Any, NamedTuple

import msgspec

from federation.core import budget
from federation.model.failures import Failure, FailureKind
from federation.model.status import ClusterStatus, Condition, Status
from federation.model.words import Propagation, Word

_NAMED = 3
_OURS = frozenset({"Propagation", "Ready", "Stalled"})
_STALLS = frozenset({Propagation.INVALID, Propagation.COMPUTE_PLACEMENT_FAILED})
"""Reasons that no event but a change of the object itself can take away."""
_REMOTE_STATUS = re.compile(r"status\.clusters\[(\d{1,6})\]\.remoteStatus\.?(.*)", re.DOTALL)
"""The field of a cause: the line's place in status.clusters, and the place in its remoteStatus."""
_DECODER = msgspec.json.Decoder(Status)


def fold(
    previous: Status | None,
    *,
    generation: int,
    reason: Propagation,
    message: str,
    clusters: Sequence[ClusterStatus],
    selected: Set[str],
    now: str,
    unjoined: Sequence[str] = (),
    stalled: Set[str] = frozenset(),
) -> Status:
    """The status after a reconcile of `generation`; `previous` itself when it says the same.

    `reason` and `message` are the plan's, for the object as a whole. `clusters` are all lines, in any order: of the
    `selected` clusters and of those a copy still has to leave; a line's generation 0 means `generation`. `unjoined` are
    placed names that are no cluster's. `stalled` are clusters that only a change of the object can help. `now` is RFC
    3339.
    """
    before = previous if previous is not None else Status()
    words = {line.name: line for line in before.clusters if line.status}
    lines = [_line(line, words.get(line.name), generation, now) for line in clusters]
    lines.sort(key=_by_name)
    kept = budget.fit(lines)
    old = {condition.type: condition for condition in before.conditions}
    cause = reason or (Propagation.CHECK_CLUSTERS if any(line.status for line in lines) else Propagation.OK)
    told = budget.cut(message, budget.MESSAGE) if reason else ""
    conditions = (
        _condition(
            old.get("Propagation"),
            Condition("Propagation", "False" if cause else "True", cause.value, told, observed_generation=generation),
            now,
            # KubeFed moves lastUpdateTime when a cluster's line does: something was propagated.
            changed=kept.lines != before.clusters,
        ),
        _condition(
            old.get("Ready"), _ready(_Counted.of(lines, selected, unjoined), generation, reason, told, kept), now
        ),
        *(_condition(old.get("Stalled"), each, now) for each in _stalled(lines, stalled, generation, reason, told)),
        *(condition for condition in before.conditions if condition.type not in _OURS),
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


def spared(lines: Sequence[ClusterStatus], told: Status, failure: Failure) -> list[ClusterStatus] | None:
    """`lines` without the remoteStatus for which the hub refused `told`, and a word instead; None: it is not that.

    The hub's schema of remoteStatus is of one version of the type, a member may run another: what does not fit is that
    cluster's loss alone. Where the refusal names no cluster (too large), all lose theirs.
    """
    holders = {line.name for line in lines if line.remote_status is not msgspec.UNSET}
    if not holders or failure.kind not in (FailureKind.INVALID, FailureKind.TOO_LARGE):
        return None
    refused: dict[str, str] = {}
    for cause in failure.causes:
        found = _REMOTE_STATUS.match(cause.field)
        if found is not None and int(found[1]) < len(told.clusters):
            refused.setdefault(told.clusters[int(found[1])].name, f" at {found[2]}" if found[2] else "")
    blamed = {name: where for name, where in refused.items() if name in holders} or dict.fromkeys(holders, "")
    return [_without_remote(line, blamed[line.name]) if line.name in blamed else line for line in lines]


def _without_remote(line: ClusterStatus, where: str) -> ClusterStatus:
    word = f"its remoteStatus is left out: the hub refuses it{where}"
    message = f"{line.message}; {word}" if line.message else word
    return msgspec.structs.replace(line, message=message, remote_status=msgspec.UNSET)


def fingerprint(digest: str, entry: str) -> str:
    """What a line remembers of the last successful apply: `<manifest digest>.<managedFields entry digest>`."""
    return f"{digest}.{entry}"


def parse_fingerprint(text: str) -> tuple[str, str] | None:
    """(manifest digest, entry digest) of a fingerprint; None when it is not one."""
    digest, dot, entry = text.partition(".")
    return (digest, entry) if digest and dot and entry and "." not in entry else None


def parse(raw: bytes | msgspec.Raw) -> Status:
    """The stored status; an empty one when there is none or it cannot be read, so that it is written anew."""
    data = memoryview(raw)
    if not data:
        return Status()
    try:
        return _DECODER.decode(data)
    except msgspec.MsgspecError:
        return Status()


def _by_name(line: ClusterStatus) -> str:
    return line.name


def _line(line: ClusterStatus, before: ClusterStatus | None, generation: int, now: str) -> ClusterStatus:
    since = "" if not line.status else before.since if before is not None and before.status == line.status else now
    held = 0 if line.generation == generation else line.generation
    same = held == line.generation and since == line.since
    return line if same else msgspec.structs.replace(line, generation=held, since=since)


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

    @classmethod
    def of(cls, lines: Sequence[ClusterStatus], selected: Set[str], unjoined: Sequence[str]) -> "_Counted":
        missing = [line for line in lines if line.name in selected and (line.status or line.generation)]
        silent = selected - {line.name for line in lines} if selected else selected
        if silent:
            missing += [ClusterStatus(name, Word.PENDING) for name in silent]
            missing.sort(key=_by_name)
        leaving = tuple(line.name for line in lines if line.name not in selected)
        return cls(len(selected), tuple(missing), leaving, tuple(unjoined))


def _ready(counted: _Counted, generation: int, reason: Propagation, told: str, kept: budget.Fitted) -> Condition:
    missing = counted.missing
    held = counted.selected - len(missing)
    parts = [told] if told else []
    if missing:
        parts.append(f"{held} of {counted.selected} clusters hold generation {generation}")
        parts.extend(
            f"{line.name}: {line.status or f'holds generation {line.generation}'}" for line in missing[:_NAMED]
        )
        if len(missing) > _NAMED:
            parts.append(f"and {len(missing) - _NAMED} more")
    elif held:
        parts.append(f"{held} cluster{' holds' if held == 1 else 's hold'} generation {generation}")
    elif not told:
        parts.append("no cluster is selected")
    if counted.unjoined:
        parts.append(f"no cluster has joined as {_names(counted.unjoined)}")
    if counted.leaving:
        parts.append(f"still to be removed from {_names(counted.leaving)}")
    if kept.left_out:
        parts.append(f"{kept.left_out} lines are left out below: the status is full")
    if kept.unsaid:
        parts.append(f"{kept.unsaid} messages are left out below: the status is full")
    if reason:
        why: str = reason
    elif not missing:
        why = "Propagated"
    else:
        under_way = all(line.status in ("", Word.PENDING) for line in missing)
        why = "Progressing" if under_way else Propagation.CHECK_CLUSTERS
    status = "True" if not reason and not missing else "False"
    return Condition("Ready", status, why, "; ".join(parts), observed_generation=generation)


def _stalled(
    lines: Sequence[ClusterStatus], stalled: Set[str], generation: int, reason: Propagation, told: str
) -> tuple[Condition, ...]:
    """Stalled when trying again is no use: kstatus then says Failed with this message, instead of waiting for long."""
    if reason in _STALLS:
        return (Condition("Stalled", "True", reason.value, told, observed_generation=generation),)
    failing = [line for line in lines if line.name in stalled]
    if not failing:
        return ()
    parts = [
        f"{line.name}: {line.status}" + (f": {budget.cut(line.message, budget.MESSAGE)}" if line.message else "")
        for line in failing[:_NAMED]
    ]
    if len(failing) > _NAMED:
        parts.append(f"and {len(failing) - _NAMED} more")
    return (Condition("Stalled", "True", failing[0].status, "; ".join(parts), observed_generation=generation),)


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
