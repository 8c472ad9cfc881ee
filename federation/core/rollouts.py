"""Decide how a staged rollout goes on: what is asked for, the record, the clusters and the time in; a new record out.

Pure; called by controllers.rollouts, which has the hub accept the record before anything follows from it. A cluster has
the good revision unless the record names another, so nothing is released but by a new record. Rules:

- Other contents than those of the revision under way are a new revision, which supersedes it; those of the good one end
  the run, and everything goes back to it at once.
- Stages are released in their order. One is left when all that was released is healthy, has been so for the time of
  the soak, and a person has approved, where the stage asks for that. After the named stages comes a last one, with all
  clusters that none of them has taken.
- A cluster that joins, or gets other labels, belongs to the first stage that selects it and is not full. One that was
  released stays released. A stage that selects no cluster at all stops the run: a typing error must not skip a canary.
- While it is paused nothing changes, except that a revision which is taken back goes.
- A record that was lost is made anew from what the clusters have (lostrecords), and the run begins at the first stage.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec

from federation.core import lostrecords, selectors, times
from federation.model.rollouts import NONE, Place, Record, Released, Revision, Stage, Verdict, Window, Wish

REST = Stage("rest")
"""The last stage, which nobody writes: all clusters that no other has taken."""
BEHIND = 10.0
"""Seconds between two looks at a rollout that is complete but for clusters that are away or cordoned."""
_NAMED = 3


class State(StrEnum):
    """Where a rollout stands: the reason of its condition Progressing."""

    COMPLETE = "Complete"
    NO_OBJECT = "NoObject"
    PAUSED = "Paused"
    UNDONE = "Undone"
    RELEASED = "StageReleased"
    UNHEALTHY = "WaitingForHealth"
    SOAKING = "Soaking"
    APPROVAL = "WaitingForApproval"
    WINDOW = "OutsideWindow"
    NO_CLUSTER = "NoClusterSelected"
    LOST = "RecordLost"

    @property
    def rests(self) -> bool:
        """Whether nothing goes on until a person changes something."""
        return self in {State.COMPLETE, State.NO_OBJECT, State.PAUSED, State.UNDONE, State.LOST}


@dataclass(frozen=True, slots=True)
class News:
    """Something that people are told by an event."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The record that is to be, and where it stands. `again`: after so many seconds time alone changes something."""

    record: Record
    state: State
    message: str = ""
    again: float | None = None
    news: tuple[News, ...] = ()


def decide(wish: Wish, record: Record, places: Mapping[str, Place], now: float) -> Decision:
    """What is next. `places` are the clusters where the set is placed, by name, as of this very record."""
    if not wish.objects:
        return Decision(record, State.NO_OBJECT, "no federated object names it in label kubefed.io/rollout")
    if not record.revisions:
        record = Record()  # whatever else it says is about revisions that are not known
        if not _is_everywhere(places) and (found := lostrecords.made_anew(wish, places, now)) is not None:
            said = lostrecords.told(found)
            return Decision(found, State.LOST, said, again=0.0, news=(News("RecordLost", said, warning=True),))
    decision = _decided(wish, record, places, now)
    if not decision.record.lost:
        return decision
    return replace(decision, message=f"{decision.message}; {lostrecords.note(decision.record)}")


def _decided(wish: Wish, record: Record, places: Mapping[str, Place], now: float) -> Decision:
    record, news = _undo(wish, record)
    if wish.paused:
        return Decision(record, State.PAUSED, "spec.paused is true: nothing changes", news=news)
    if _is(record, record.target, wish):
        if doubt := lostrecords.doubt(wish, record):
            return Decision(record, State.LOST, doubt, news=news)
        return _with(_advance(wish, record, places, now), news)
    if _is(record, record.good, wish):
        return _with(_withdrawn(record, places), news)
    undone, newest = record.revision(wish.undone), record.revision(record.newest)
    if undone is not None and undone.verdict is Verdict.REJECTED and _is(record, undone.number, wish):
        return _with(_rejected(record, undone), news)
    if newest is not None and newest.verdict is Verdict.REJECTED and _is(record, newest.number, wish):
        return _with(_started(wish, _judged(record, newest.number, Verdict.RUNNING), newest.number), news)
    number = lostrecords.unused(wish, record)
    if not record.revisions and _is_everywhere(places):
        return _with(_adopted(wish, number, now), news)
    revision = Revision(number, Verdict.RUNNING, times.rfc3339(now), wish.objects)
    known = msgspec.structs.replace(record, revisions=(*record.revisions, revision))
    return _with(_started(wish, known, number), news)


def _is(record: Record, number: int, wish: Wish) -> bool:
    """Whether a revision has what is asked for: these contents of these objects."""
    revision = record.revision(number)
    if revision is None:
        return False
    contents = {each.what: each.content for each in revision.objects}
    return all(contents.get(each.what) == each.content for each in wish.objects)


def _is_everywhere(places: Mapping[str, Place]) -> bool:
    """Whether every cluster has these objects already, as they are: they get a rollout from now on."""
    return bool(places) and all(each.copies and not each.older for each in places.values())


def _adopted(wish: Wish, number: int, now: float) -> Decision:
    revision = Revision(number, Verdict.GOOD, times.rfc3339(now), wish.objects)
    return Decision(Record((revision,), good=number), State.COMPLETE, f"every cluster has revision {number}")


def _started(wish: Wish, record: Record, number: int) -> Decision:
    """The run of a revision begins at the first stage; clusters keep what they have until they are released."""
    before = record.target
    news = [News("RolloutStarted", f"revision {number} is rolled out, first to stage {_stages(wish)[0].name}")]
    if before:
        record = _judged(record, before, Verdict.SUPERSEDED)
        news = [
            News("RolloutSuperseded", f"revision {number} supersedes revision {before}: it begins at the first stage")
        ]
    record = msgspec.structs.replace(
        record, target=number, stage=_stages(wish)[0].name, begun="", healthy_since="", approved=False, lost=""
    )
    return Decision(trimmed(record, wish), State.RELEASED, news[0].message, again=0.0, news=tuple(news))


def _withdrawn(record: Record, places: Mapping[str, Place]) -> Decision:
    """The contents are those of the good revision (again)."""
    if not record.target and not record.released:
        return _complete(record, record.good, places)
    news: tuple[News, ...] = ()
    if record.target:
        said = f"the contents are those of revision {record.good} again: revision {record.target} is given up"
        news = (News("RolloutWithdrawn", said),)
        record = _judged(record, record.target, Verdict.SUPERSEDED)
    return replace(_complete(_ended(record, good=record.good), record.good, places), news=news)


def _rejected(record: Record, revision: Revision) -> Decision:
    if record.target:  # another is under way, and its contents are not asked for any more
        record = _given_up(_judged(record, record.target, Verdict.SUPERSEDED))
    if record.good:
        message = f"revision {revision.number} was taken back: every cluster has revision {record.good}"
    else:
        message = (
            f"revision {revision.number} was taken back, and there is none before it: clusters that have it keep it, "
            "no other gets it"
        )
    return Decision(record, State.UNDONE, f"{message}; another content, or fedctl rollout resume, begins a new run")


def _undo(wish: Wish, record: Record) -> tuple[Record, tuple[News, ...]]:
    """Take a revision back that somebody has rejected: the one under way, or the good one if there is one before it."""
    number = wish.undone
    revision = record.revision(number)
    if revision is None or number not in {record.target, record.good} or (record.target and number != record.target):
        return record, ()
    before = record.good
    if not record.target:
        before = max((each.number for each in record.revisions if _was_good(each, number)), default=NONE)
        if not before:
            return record, (News("UndoRefused", f"no good revision before {number} is known", warning=True),)
    record = _given_up(msgspec.structs.replace(_judged(record, number, Verdict.REJECTED), good=before))
    said = f"revision {number} is taken back: every cluster gets revision {before}"
    if not before:
        said = f"revision {number} goes no further; there is none before it that clusters could go back to"
    return record, (News("RolloutUndone", said),)


def _was_good(revision: Revision, before: int) -> bool:
    return revision.number < before and revision.verdict is Verdict.GOOD


def _advance(wish: Wish, record: Record, places: Mapping[str, Place], now: float) -> Decision:
    """The revision under way is what is asked for: release what is due."""
    stages = _stages(wish)
    index = next((number for number, each in enumerate(stages) if each.name == record.stage), -1)
    if index < 0:  # the stages were changed: what is released stays so, and the gates of the first come again
        index = 0
        record = _at(record, stages[0])
    late = _late(stages, index if record.begun else index - 1, record, places)
    if late:
        message = f"{_some(late)} now belong to a stage that is released"
        return Decision(_release(record, late), State.RELEASED, message, news=(News("ClustersReleased", message),))
    while True:
        stage = stages[index]
        if not record.begun:
            return _begin(stages[: index + 1], record, places, now)
        waiting = _gates(wish, stage, record, places, now)
        if isinstance(waiting, Decision):
            return waiting
        record = waiting
        if stage is REST:
            return _completed(record, wish, places)
        index += 1
        record = _at(record, stages[index])


def _begin(stages: Sequence[Stage], record: Record, places: Mapping[str, Place], now: float) -> Decision:
    """Release the last of these stages, if now is the time for it."""
    stage = stages[-1]
    selected = _selected(stage, places)
    what = f"stage {stage.name} of revision {record.target}"
    if not selected and stage is not REST:
        message = f"stage {stage.name} selects no cluster where the objects are placed: nothing behind it is released"
        return Decision(record, State.NO_CLUSTER, message)
    wait = _until_open(stage.windows, now)
    if wait > 0:
        return Decision(record, State.WINDOW, f"{what} waits for its next window", again=wait)
    chosen = _chosen(stages, record, places)
    record = msgspec.structs.replace(
        _release(record, chosen), begun=times.rfc3339(now), healthy_since="", approved=False
    )
    said = f"{what} is released" + (f": {_some(chosen)}" if chosen else ": its clusters have it already")
    return Decision(record, State.RELEASED, said, again=0.0, news=(News("StageReleased", said),))


def _gates(wish: Wish, stage: Stage, record: Record, places: Mapping[str, Place], now: float) -> Record | Decision:
    """The record once everything is true that has to be before the stage is left; else what it waits for."""
    released = [places[name] for name, revision in sorted(record.holds.items()) if _has(name, revision, record, places)]
    # Behind the last stage nothing is protected: a cluster that is away, or cordoned, would keep the revision from ever
    # being good. It gets it when it is back.
    counted = [each for each in released if each.ready and not each.cordoned] if stage is REST else released
    unhealthy = [each for each in counted if each.unhealthy or not each.ready]
    what = f"stage {stage.name} of revision {record.target}"
    if not released and stage is not REST:
        lost = msgspec.structs.replace(record, begun="", healthy_since="", approved=False)
        message = f"{what}: no cluster that was released is left: the stage begins again"
        return Decision(lost, State.NO_CLUSTER, message, again=0.0)
    if len(unhealthy) > stage.tolerate:
        record = msgspec.structs.replace(record, healthy_since="")
        return Decision(record, State.UNHEALTHY, f"{what} waits for {_reasons(unhealthy)}")
    if not record.healthy_since:
        record = msgspec.structs.replace(record, healthy_since=times.rfc3339(now))
    since = times.moment(record.healthy_since)
    left = stage.soak - (now - since.timestamp()) if since is not None else stage.soak
    if left > 0:
        return Decision(record, State.SOAKING, f"{what} soaks for {_duration(stage.soak)}", again=left)
    if stage.approval and not record.approved:
        if wish.approved != (record.target, stage.name):
            message = f"{what} waits for approval: fedctl rollout approve"
            return Decision(record, State.APPROVAL, message)
        record = msgspec.structs.replace(record, approved=True)
    return record


def _complete(record: Record, revision: int, places: Mapping[str, Place], *, told: bool = False) -> Decision:
    """Every cluster has a revision, but for those that cannot be given it now: it is looked at until they have it."""
    behind = [each for _, each in sorted(places.items()) if each.older or not each.copies]
    late = [f"{each.name} when it is uncordoned" for each in behind if each.cordoned]
    late += [f"{each.name} when it is back" for each in behind if not each.ready and not each.cordoned]
    said = f"every cluster has revision {revision}" + (f", or gets it: {_some(late)}" if late else "")
    news = (News("RolloutComplete", said),) if told else ()
    return Decision(record, State.COMPLETE, said, again=BEHIND if late else None, news=news)


def _completed(record: Record, wish: Wish, places: Mapping[str, Place]) -> Decision:
    revision = record.target
    record = _ended(_judged(record, revision, Verdict.GOOD), good=revision)
    return _complete(trimmed(record, wish), revision, places, told=True)


def trimmed(record: Record, wish: Wish) -> Record:
    """Without the oldest revisions that no cluster has and that are more than the history that is asked for."""
    used = {record.good, record.target, record.newest, wish.undone, *record.holds.values()}
    others = [each.number for each in record.revisions if each.number not in used]
    # The one that `undo` would go back to counts before all others.
    others.sort(key=lambda number: (_is_good(record, number), number))
    dropped = set(others[: max(0, len(others) - wish.history)])
    if not dropped:
        return record
    kept = tuple(each for each in record.revisions if each.number not in dropped)
    return msgspec.structs.replace(record, revisions=kept)


def _is_good(record: Record, number: int) -> bool:
    revision = record.revision(number)
    return revision is not None and revision.verdict is Verdict.GOOD


def _stages(wish: Wish) -> tuple[Stage, ...]:
    return (*wish.stages, REST)


def _at(record: Record, stage: Stage) -> Record:
    return msgspec.structs.replace(record, stage=stage.name, begun="", healthy_since="", approved=False)


def _ended(record: Record, *, good: int) -> Record:
    return msgspec.structs.replace(
        record, good=good, target=NONE, released=(), stage="", begun="", healthy_since="", approved=False, lost=""
    )


def _given_up(record: Record) -> Record:
    """Nothing is under way any more. Without a good revision clusters have nothing to go back to, and keep theirs."""
    ended = _ended(record, good=record.good)
    return ended if record.good else msgspec.structs.replace(ended, released=record.released)


def _judged(record: Record, number: int, verdict: Verdict) -> Record:
    revisions = tuple(
        msgspec.structs.replace(each, verdict=verdict) if each.number == number else each for each in record.revisions
    )
    return msgspec.structs.replace(record, revisions=revisions)


def _release(record: Record, names: Sequence[str]) -> Record:
    holds = {**record.holds, **dict.fromkeys(names, record.target)}
    released = tuple(Released(name, revision) for name, revision in sorted(holds.items()))
    return msgspec.structs.replace(record, released=released)


def _selected(stage: Stage, places: Mapping[str, Place]) -> list[str]:
    """The clusters that a stage selects, in the order of their names; the last stage selects every one."""
    if stage.names is not None:
        return sorted({name for name in stage.names if name in places})
    selector = stage.selector or {}
    return sorted(name for name, place in places.items() if selectors.matches(selector, place.labels))


def _chosen(stages: Sequence[Stage], record: Record, places: Mapping[str, Place]) -> list[str]:
    """Those clusters that the last of these stages takes, and that do not have the revision yet.

    One that has it already counts for the first stage that selects it and is not full: stages that were changed, or
    that begin again because the record was lost, take no other in its place.
    """
    holds, taken, chosen = record.holds, set[str](), list[str]()
    for stage in stages:
        selected = _selected(stage, places)
        open_ = [name for name in selected if name not in taken]
        has = [name for name in open_ if holds.get(name) == record.target]
        chosen = [name for name in open_ if holds.get(name) != record.target]
        if stage.amount is not None:
            number = stage.amount.of(len(selected))
            has = has[:number]
            chosen = chosen[: number - len(has)]
        taken |= {*has, *(chosen if stage is stages[-1] else ())}
    return chosen


def _late(stages: Sequence[Stage], begun: int, record: Record, places: Mapping[str, Place]) -> list[str]:
    """Clusters that belong to a stage which was released without them; those that take a number are full."""
    holds, found = record.holds, []
    for name, place in sorted(places.items()):
        if holds.get(name) == record.target:
            continue
        for number, stage in enumerate(stages):
            full = number <= begun and stage.amount is not None
            if not full and _selected(stage, {name: place}):
                if number <= begun:
                    found.append(name)
                break
    return found


def _has(name: str, revision: int, record: Record, places: Mapping[str, Place]) -> bool:
    return revision == record.target and name in places


def _until_open(windows: Sequence[Window], now: float) -> float:
    """Seconds until one of the windows is open; 0 where one is, or where there are none."""
    return min((_until(each, now) for each in windows), default=0.0)


def _until(window: Window, now: float) -> float:
    moment = datetime.fromtimestamp(now, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    waits = list(_waits(window, moment, midnight))
    return min(waits)


def _waits(window: Window, moment: datetime, midnight: datetime) -> Iterator[float]:
    for days in range(-7, 8):  # a window may last from one day into others
        day = midnight + timedelta(days=days)
        if day.weekday() in window.days:
            start = day + timedelta(minutes=window.start)
            if moment < start + timedelta(minutes=window.minutes):
                yield max(0.0, (start - moment).total_seconds())


def _with(decision: Decision, news: tuple[News, ...]) -> Decision:
    if not news:
        return decision
    return Decision(decision.record, decision.state, decision.message, decision.again, (*news, *decision.news))


def _reasons(places: Sequence[Place]) -> str:
    shown = [f"{each.name} ({each.unhealthy or 'does not answer'})" for each in places[:_NAMED]]
    more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
    return ", ".join(shown) + more


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _duration(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return "".join(f"{number}{unit}" for number, unit in ((hours, "h"), (minutes, "m"), (left, "s")) if number) or "0s"
