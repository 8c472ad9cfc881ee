"""One planned action at one member: carried out by the controller's own code as dry runs, and what came of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from federation.controllers import push
from federation.controllers.outcomes import Outcome
from federation.controllers.ports import MemberPort
from federation.controllers.world import TypeState
from federation.core import removal
from federation.core.proof import Proof
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.plan import (
    Action,
    Apply,
    Claim,
    Command,
    Delete,
    Elsewhere,
    HandOver,
    Keep,
    Refuse,
    Release,
    Wait,
)
from federation.model.resources import SECRETS, Key, ObjectName
from federation.preview import changes, handed
from federation.preview.changes import Change, Kind
from federation.preview.rehearsal import Rehearsal

_TRIES = 2
_OWN = frozenset({FailureKind.RIGHT_MISSING, FailureKind.UNAUTHORIZED})
"""Failures that are the user's own, where a member is asked as the user."""
_ELSEWHERE = "default"
"""A namespace that every cluster has: there an object is checked whose own one does not exist yet."""
_BY_ITSELF = frozenset({FailureKind.INVALID, FailureKind.UNDECLARED, FailureKind.TOO_LARGE, FailureKind.TYPE_MISSING})
"""Refusals that are about the object alone, wherever it is."""
_NO_DRY_RUN = "does not support dry run"
"""Of an admission webhook that has side effects: an API server refuses every dry run that it would be asked for."""
_NOT_CHECKED = "its namespace does not exist there yet: quota and policies of it are not checked"
_ANOTHER_HUB = "another hub has it; it is told that this one places it there, too"


Sides = tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]
"""A whole object before and after; None: there is none. With the values of Secrets, which are for no output."""


@dataclass(slots=True)
class Stage:
    """One member while it is visited: all writes of `dry` are dry runs.

    `own`: it is asked with the user's own rights, not the controller's. With `values` the values of fields are shown.
    `made` are namespaces that the plan creates there. `silent`: why it is not asked any more, since it did not answer.
    `sides`, where it is a map, gets each object that an apply was rehearsed of, as it is and as it would be.
    `works` are those of a cluster in pull mode, which is not asked (handed); None: it is not in pull mode. `unheard` is
    since when its agent is silent.
    """

    cluster: str
    dry: MemberPort
    own: bool = True
    values: bool = True
    made: set[str] = field(default_factory=set)
    silent: str = ""
    sides: dict[Key, Sides] | None = None
    unheard: str = ""
    works: Mapping[tuple[str, ObjectName], Mapping[str, Any]] | None = None


async def of_action(stage: Stage, state: TypeState, key: Key, action: Action | None) -> Change | None:
    """What it would do; None: nothing."""
    match action:
        case None | Keep() | Elsewhere():
            return None
        case Wait(status=status, message=message):
            return Change(Kind.WAIT, message=f"{status}: {message}" if message else str(status))
        case Refuse(status=status, message=message):
            return Change(Kind.REFUSE, message=f"{status}: {message}")
    if stage.works is not None:
        return _handed(stage, state, key, action)
    change: Change | None = None
    for _ in range(_TRIES):  # what somebody writes in that very moment is looked at once more
        rehearsed = _Rehearsed(stage, state, key)
        change = await rehearsed.of(action)
        if not rehearsed.raced:
            break
    return change


def _handed(stage: Stage, state: TypeState, key: Key, action: Command) -> Change | None:
    """The same in a cluster in pull mode, by its work at the hub."""
    work = (stage.works or {}).get((key.type, state.target_name(ObjectName(key.namespace, key.name))))
    secret = state.type.target.qualified == SECRETS.qualified
    if stage.sides is not None and isinstance(action, HandOver):
        stage.sides[key] = handed.manifest(work) if action.uid else None, handed.written(action)
    return handed.of_action(action, key, stage.cluster, work, values=stage.values and not secret, silent=stage.unheard)


class _Rehearsed:
    def __init__(self, stage: Stage, state: TypeState, key: Key) -> None:
        self.raced = False
        self._stage = stage
        self._contents = removal.contents_of(state.type)
        self._key = key
        self._secret = state.type.target.qualified == SECRETS.qualified
        self._port = Rehearsal(stage.dry)
        where = ObjectName(key.namespace, key.name)
        self._target = push.target_of(state, stage.cluster, where, self._port, _proven)

    async def of(self, action: Command) -> Change | None:
        before = await self._before(action) if isinstance(action, Apply) else None
        if isinstance(before, Change):
            return before
        outcome = await push.carry_out(action, self._target)
        if outcome.recreating:
            return Change(Kind.RECREATE, message=outcome.message)
        failure = outcome.failure
        if isinstance(action, Apply) and failure is not None and failure.kind is FailureKind.NAMESPACE_MISSING:
            return await self._elsewhere(action, failure)
        if outcome.status:
            return self._not_done(outcome)
        match action:
            case Delete() | Release():
                return self._removed(action, outcome)
            case Claim():
                return Change(Kind.CLAIM, message=_ANOTHER_HUB)
            case Apply():
                return self._applied(before, outcome)
            case _:
                return None  # nothing was written

    async def _before(self, action: Apply) -> Mapping[str, Any] | Change | None:
        """The object as it is. Of a Secret, too: the values are compared, and never shown."""
        target = push.at_its_version(action, self._target)
        found = await self._stage.dry.read_whole(target.resource, target.name)
        if not isinstance(found, Failure):
            return found.content
        if found.kind in {FailureKind.NOT_FOUND, FailureKind.NAMESPACE_MISSING}:
            return None
        return self._refused(found, found.message)

    def _applied(self, before: Mapping[str, Any] | None, outcome: Outcome) -> Change | None:
        note = outcome.dropped or ""
        if self._stage.sides is not None:
            self._stage.sides[self._key] = before, self._port.after
        if self._port.created or before is None:
            return Change(Kind.CREATE, message=note) if self._port.after is not None else None
        if self._port.after is None:
            return None  # it is gone already, and is not made again
        fields = changes.fields(before, self._port.after, values=self._stage.values and not self._secret)
        if not _is_ours(before):
            return Change(Kind.ADOPT, fields, note)
        return Change(Kind.CHANGE, fields, note) if fields else None

    def _removed(self, action: Delete | Release, outcome: Outcome) -> Change | None:
        if not (self._port.deleted or self._port.released or outcome.removed):
            return None
        reason = action.reason
        because, kept = (reason.change, reason.kept) if reason is not None else ("", "")
        if not self._port.deleted:
            return Change(Kind.RELEASE, message=kept, because=because)
        return Change(Kind.DELETE, message=f"with {self._contents}" if self._contents else "", because=because)

    def _not_done(self, outcome: Outcome) -> Change:
        failure = outcome.failure
        if failure is None:
            return Change(Kind.REFUSE if outcome.doubt is None else Kind.WAIT, message=outcome.message)
        return self._refused(failure, outcome.message)

    async def _elsewhere(self, action: Apply, missing: Failure) -> Change:
        """An object in a namespace that the plan makes: whether the member would take it at all."""
        if self._key.namespace not in self._stage.made:
            return self._refused(missing, missing.message)
        target = push.at_its_version(action, self._target)
        name = f"plan-{hashlib.sha256(repr(target.name).encode()).hexdigest()[:16]}"
        body = orjson.loads(action.body)
        body["metadata"] |= {"name": name, "namespace": _ELSEWHERE}
        answer = await self._stage.dry.apply(
            target.resource, ObjectName(_ELSEWHERE, name), orjson.dumps(body), force=True, dry_run=True
        )
        if isinstance(answer, Failure) and answer.kind in _BY_ITSELF:
            return Change(Kind.REFUSE, message=answer.message.replace(name, target.name.name))
        return Change(Kind.CREATE, message=_NOT_CHECKED)

    def _refused(self, failure: Failure, message: str) -> Change:
        """What follows from a member's failure."""
        if failure.concerns == "member":
            self._stage.silent = message
            return Change(Kind.UNKNOWN, message=message)
        if self._stage.own and failure.kind in _OWN:
            return Change(Kind.UNKNOWN, message=message)
        if _NO_DRY_RUN in message:
            return Change(Kind.UNKNOWN, message=message)
        if failure.concerns == "race":
            self.raced = True
            return Change(Kind.UNKNOWN, message=f"it changed while it was asked for: {message}")
        return Change(Kind.REFUSE, message=message)


async def _proven() -> Proof:
    """The hub is not asked: nothing is removed."""
    return Proof(by="dry run")


def _is_ours(content: Mapping[str, Any]) -> bool:
    """Whether an object has our label."""
    labels = (content.get("metadata") or {}).get("labels") or {}
    return labels.get(marks.MANAGED_LABEL) == "true"
