"""Write works that have several objects at the hub, for one cluster: all that waits for it at a time, in few writes.

Who comes first writes for all others that wait, so that while one write is under way the next one gathers; a second
write follows the first only after a while, and a single change that comes alone is written at once. A write that the
hub refuses is halved until the object is found that it refuses: the others go through.

What is in which work is what the watch shows (`show`), or an answer to a write that the watch has not shown yet.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import structlog

from federation.controllers.learning import Turn
from federation.controllers.outcomes import Outcome, Prove, doubted, failed
from federation.controllers.ports import WorksPort
from federation.core import bundles, classification, managedfields, scrubbing
from federation.core.bundles import Change, Edit, Piece
from federation.core.proof import Doubt, Proof
from federation.core.works import SeenWork
from federation.model.bundles import Bundle, Entry
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.observations import ObservedWork, Said
from federation.model.plan import Action, HandOver, Release
from federation.model.resources import SECRETS, Key, ObjectName
from federation.model.works import DELETED_ANNOTATION, HUB_LABEL, MANIFEST_WORKS

SPACING = 0.1
"""Seconds between two rounds of writes for one cluster: what comes meanwhile is one write."""
LAG = 60.0
"""Seconds for which an answer is believed though the watch shows less."""
_LONGEST_NOTE = 200
_TOLD_FIRST = "its agent is told first that the copy stays"

log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class _Item:
    """One command that waits. `piece`: what is to be written; None: it goes, which `proof` says."""

    key: Key
    turn: Turn
    prove: Prove
    piece: Piece | None
    outcome: Outcome | None = None
    proof: Proof | None = None


@dataclass(slots=True)
class _Group:
    """What is to be done with one work."""

    puts: list[_Item] = field(default_factory=list)
    takes: list[_Item] = field(default_factory=list)

    @property
    def items(self) -> list[_Item]:
        return [*self.puts, *self.takes]


class Bundler:
    """The works of several objects of one cluster. `limit` is the most bytes of one; 0: new objects get works alone."""

    def __init__(self, cluster: str, hub: WorksPort, limit: Callable[[], int]) -> None:
        self._cluster = cluster
        self._hub = hub
        self._limit = limit
        self._known: dict[str, Bundle] = {}
        self._where: dict[Key, str] = {}
        self._said: dict[Key, Said] = {}
        self._ahead: dict[str, float] = {}
        """Works of which an answer has shown more than the watch, and since when (monotonic)."""
        self._foreign: set[str] = set()
        """Names that somebody else's works have."""
        self._doubtful: dict[Key, str] = {}
        """The works to which new objects were sent without an answer: they go nowhere else until the watch shows it."""
        self._waiting: list[_Item] = []
        self._lock = asyncio.Lock()
        self._last = float("-inf")

    # --- what is at the hub ---------------------------------------------------------------------------------------

    def show(self, work: SeenWork) -> None:
        """The watch shows a work of this cluster."""
        if work.bundle is None:
            return
        self._foreign.discard(work.name)
        if self._is_late(work.bundle):
            return
        self._ahead.pop(work.name, None)
        self._learn(work.bundle)
        self._said.update((key, part.said) for key, part in work.parts)

    def _is_late(self, shown: Bundle) -> bool:
        """Whether an answer has shown more. Not for long: a hub that was put back to a backup has lower versions."""
        known = self._known.get(shown.name)
        if known is None or known.uid != shown.uid or known.version <= shown.version:
            return False
        return time.monotonic() - self._ahead.get(shown.name, float("-inf")) < LAG

    def forget(self, name: str) -> None:
        """A work is gone."""
        self._ahead.pop(name, None)
        known = self._known.pop(name, None)
        if known is not None:
            self._unlearn(known)

    def _answered(self, bundle: Bundle) -> None:
        """A write of ours shows a work before the watch does."""
        self._ahead[bundle.name] = time.monotonic()
        self._learn(bundle)

    def _learn(self, bundle: Bundle) -> None:
        before = self._known.get(bundle.name)
        if before is not None:
            self._unlearn(before)
        self._known[bundle.name] = bundle
        for key in _keys(bundle):
            self._where[key] = bundle.name
            self._doubtful.pop(key, None)

    def _unlearn(self, bundle: Bundle) -> None:
        for key in _keys(bundle):
            if self._where.get(key) == bundle.name:
                del self._where[key]
                self._said.pop(key, None)

    # --- commands -------------------------------------------------------------------------------------------------

    def takes(self, turn: Turn) -> bool:
        """Whether a command is for a work of several objects, rather than for one of its own."""
        if self._has(turn.key) or (isinstance(turn.before, ObservedWork) and turn.before.bundle):
            return True
        return self.joins(turn.key, turn.action)

    def joins(self, key: Key, action: Action | None) -> bool:
        """Whether a command may be carried out together with others; many of these count as one in the lane."""
        if self._has(key):
            return True
        if not isinstance(action, HandOver):
            return False
        return action.joins and not action.uid and len(action.body) <= self._limit()

    def _has(self, key: Key) -> bool:
        return key in self._where or key in self._doubtful

    async def carry_out(self, turn: Turn, prove: Prove) -> Outcome:
        """Carry out one command together with all others that wait. As Carrier.carry_out."""
        piece = bundles.piece(turn.action.body) if isinstance(turn.action, HandOver) else None
        item = _Item(turn.key, turn, prove, piece)
        self._waiting.append(item)
        async with self._lock:
            if item.outcome is None:
                await asyncio.sleep(max(0.0, self._last + SPACING - time.monotonic()))
                batch, self._waiting = self._waiting, []
                try:
                    await self._carry_out(batch)
                finally:
                    self._last = time.monotonic()
                    self._waiting += [each for each in batch if each.outcome is None]
        if item.outcome is None:
            raise RuntimeError("a command for a work of several objects has no outcome")
        return item.outcome

    async def _carry_out(self, batch: Sequence[_Item]) -> None:
        await asyncio.gather(*(self._prove(each) for each in batch if each.piece is None))
        groups, new = self._grouped([each for each in batch if each.outcome is None])
        for name, group in groups.items():
            await self._change(name, group)
        await self._create(new)

    async def _prove(self, item: _Item) -> None:
        doubtful = self._doubtful.get(item.key)
        if doubtful is not None and item.key not in self._where:
            failure = await self._look(ObjectName(self._cluster, doubtful))
            if failure is not None and failure.kind is not FailureKind.NOT_FOUND:
                item.outcome = self._failed(item, failure, doubtful)
                return
        if item.key not in self._where:
            self._doubtful.pop(item.key, None)
            item.outcome = Outcome(gone=True)
            return
        proof = await item.prove()
        if isinstance(proof, Doubt):
            item.outcome = doubted(proof)
        else:
            item.proof = proof

    def _grouped(self, items: Sequence[_Item]) -> tuple[dict[str, _Group], list[_Item]]:
        """What is to be done with each work that is there, and what none has room for."""
        groups: dict[str, _Group] = {}
        new: list[_Item] = []
        for item in items:
            name = self._where.get(item.key) or self._doubtful.get(item.key, "")
            known = self._known.get(name)
            if known is None:
                if item.piece is None or (isinstance(item.turn.action, HandOver) and item.turn.action.uid):
                    item.outcome = Outcome(gone=True)  # it went meanwhile
                else:
                    new.append(item)
            elif known.deleting:
                item.outcome = _later("the work is being deleted", item)
            elif _entry(known, item.key) is None and any(each.entry.key == item.key for each in known.taken):
                # That it goes was written before; its agent has not said so yet.
                if item.piece is not None:
                    item.outcome = _later("its agent has not let go of the copy yet", item)
                else:
                    item.outcome = _removed(item)
            elif item.piece is not None:
                groups.setdefault(name, _Group()).puts.append(item)
            else:
                groups.setdefault(name, _Group()).takes.append(item)
        by_key = {item.key: item for item in new}
        pieces = [item.piece for item in new if item.piece is not None and item.key not in self._doubtful]
        placed, left = bundles.assign(self._known.values(), pieces, self._limit())
        for name, found in placed.items():
            groups.setdefault(name, _Group()).puts.extend(by_key[each.key] for each in found)
        again = [item for item in new if item.key in self._doubtful]
        return groups, [*again, *(by_key[each.key] for each in left)]

    # --- one work that is there -----------------------------------------------------------------------------------

    async def _change(self, name: str, group: _Group) -> None:
        """One write for all of a group, or two halves where the hub refuses it for one of them."""
        bundle = self._known[name]
        if not group.puts and len(group.takes) == len(bundle.entries):
            await self._remove(bundle, group.takes)
            return
        failure = await self._write(bundle, group)
        if failure is not None and failure.concerns == "object" and len(group.items) > 1:
            for half in _halves(group):
                await self._change(name, half)
            return
        for item in group.items:
            if failure is None:
                item.outcome = item.outcome or (Outcome(handed_over=True) if item.piece is not None else _removed(item))
            else:
                item.outcome = self._failed(item, failure, name)

    async def _write(self, bundle: Bundle, group: _Group) -> Failure | None:
        where = ObjectName(self._cluster, bundle.name)
        failure: Failure | None = None
        if bundle.intact:
            change = self._of(bundle, group)
            if not change:
                return None
            failure = await self._send(where, bundles.edit(bundle, change), group)
            if failure is None or failure.kind is not FailureKind.INVALID:
                return failure
        # Somebody else has changed it, or it is refused: what is there now says which.
        found = await self._hub.read_whole(MANIFEST_WORKS, where)
        if isinstance(found, Failure):
            return found
        if bundle.intact and found.metadata.generation == bundle.generation:
            return failure
        seen, spec = bundles.read(found.content), found.content.get("spec")
        now = seen.bundle if seen is not None else None
        if now is None or now.deleting or not isinstance(spec, dict):
            return Failure(FailureKind.UNEXPECTED, f"ManifestWork {where} cannot be read: a person has to delete it")
        change = self._of(now, group)
        made = bundles.edit(now, change) if now.intact else bundles.mend(now, spec, change)
        return await self._send(where, made, group)

    async def _send(self, where: ObjectName, made: Edit, group: _Group) -> Failure | None:
        secret = any(item.piece is not None and _is_secret(item.piece) for item in group.puts)
        written = await self._hub.edit(where, made.operations, secret=secret)
        if isinstance(written, Failure):
            return written
        self._answered(
            msgspec.structs.replace(
                made.after,
                version=managedfields.version(written.metadata),
                generation=written.metadata.generation,
                intact=written.metadata.generation == made.after.generation,
            )
        )
        return None

    def _of(self, bundle: Bundle, group: _Group) -> Change:
        """What becomes of a work. What is to stay in the member is noted first, and goes when its agent knows that."""
        takes: dict[str, str] = {}
        stays: set[str] = set()
        for item in group.takes:
            entry = _entry(bundle, item.key)
            if entry is None or item.proof is None:
                continue
            releases = isinstance(item.turn.action, Release)
            if releases and not (entry.stays and self._said.get(item.key) is Said.APPLIED):
                if not entry.stays:
                    stays.add(entry.id)
                item.outcome = _later(_TOLD_FIRST, item)
                continue
            takes[entry.id] = item.proof.by
        return Change(tuple(item.piece for item in group.puts if item.piece is not None), takes, frozenset(stays))

    async def _remove(self, bundle: Bundle, items: Sequence[_Item]) -> None:
        """All of a work goes, and the work with it."""
        where = ObjectName(self._cluster, bundle.name)
        stay = [
            entry.id
            for item in items
            if isinstance(item.turn.action, Release) and (entry := _entry(bundle, item.key)) is not None
        ]
        proofs = [item.proof for item in items if item.proof is not None]
        if not proofs:
            raise ValueError("nothing goes without a proof")
        note = {"op": "add", "path": f"/metadata/annotations/{DELETED_ANNOTATION.replace('/', '~1')}"}
        failure: Failure | None = None
        patched = await self._hub.edit(
            where,
            [
                {"op": "test", "path": "/metadata/uid", "value": bundle.uid},
                {"op": "test", "path": "/metadata/generation", "value": bundle.generation},
                {"op": "add", "path": "/spec/deleteOption", "value": bundles.removal(bundle, stay)},
                {**note, "value": scrubbing.line(proofs[0].by, _LONGEST_NOTE)},
                {"op": "add", "path": "/metadata/managedFields", "value": [{}]},
            ],
            secret=False,
        )
        if isinstance(patched, Failure):
            failure = patched
        else:
            failure = await self._hub.delete(MANIFEST_WORKS, where, bundle.uid, {}, proofs[0])
        for item in items:
            item.outcome = _removed(item) if failure is None else self._failed(item, failure, bundle.name)

    # --- new works ------------------------------------------------------------------------------------------------

    async def _create(self, items: Sequence[_Item]) -> None:
        by_key = {item.key: item for item in items}
        pieces = [item.piece for item in items if item.piece is not None]
        for some in bundles.filled(pieces, self._limit()):
            await self._create_one([by_key[each.key] for each in some])

    async def _create_one(self, items: Sequence[_Item]) -> None:
        names = {self._doubtful[item.key] for item in items if item.key in self._doubtful}
        name = names.pop() if names else bundles.name(self._hub.manager, {*self._known, *self._foreign})
        where = ObjectName(self._cluster, name)
        pieces = [item.piece for item in items if item.piece is not None]
        body, made = bundles.created(name, self._cluster, self._hub.manager, pieces)
        written = await self._hub.create(where, body)
        if isinstance(written, Failure):
            if written.kind is FailureKind.ALREADY_EXISTS:
                await self._look(where)
            elif written.concerns == "object" and len(items) > 1:
                half = len(items) // 2
                await self._create_one(items[:half])
                await self._again(items[half:])
                return
            for item in items:
                item.outcome = self._failed(item, written, name)
            return
        meta = written.metadata
        self._answered(msgspec.structs.replace(made, uid=meta.uid, version=managedfields.version(meta)))
        for item in items:
            item.outcome = Outcome(handed_over=True)

    async def _look(self, where: ObjectName) -> Failure | None:
        """What a work is that may be there and was not known: ours, which the watch has not shown yet, or not."""
        found = await self._hub.read_whole(MANIFEST_WORKS, where)
        if isinstance(found, Failure):
            return found
        seen = bundles.read(found.content)
        labels = found.content["metadata"].get("labels") or {}
        if labels.get(HUB_LABEL) == self._hub.manager and seen is not None and seen.bundle is not None:
            self._answered(seen.bundle)
        else:
            self._foreign.add(where.name)
        self._doubtful = {key: name for key, name in self._doubtful.items() if name != where.name}
        return None

    async def _again(self, items: Sequence[_Item]) -> None:
        """The second half of what could not be one new work: to the first half's, where there is one now."""
        groups, new = self._grouped(items)
        for name, group in groups.items():
            await self._change(name, group)
        if new:
            await self._create_one(new)

    def _failed(self, item: _Item, failure: Failure, name: str) -> Outcome:
        if item.piece is None:
            return failed(failure, "release" if isinstance(item.turn.action, Release) else "delete")
        if failure.concerns == "member" and item.key not in self._where:
            self._doubtful[item.key] = name
        updates = isinstance(item.turn.action, HandOver) and bool(item.turn.action.uid)
        if failure.kind is FailureKind.ALREADY_EXISTS:
            return _later(f"ManifestWork {ObjectName(self._cluster, name)} was there already", item)
        return failed(classification.of_apply(failure), "update" if updates else "create")


def _later(message: str, item: _Item) -> Outcome:
    """It is tried again."""
    waits = PropagationStatus.PENDING if item.piece is not None else PropagationStatus.WAITING_FOR_REMOVAL
    return Outcome(status=waits, message=message)


def _removed(item: _Item) -> Outcome:
    return Outcome(removed="released" if isinstance(item.turn.action, Release) else "deleted")


def _keys(bundle: Bundle) -> Iterable[Key]:
    yield from (each.key for each in bundle.entries)
    yield from (each.entry.key for each in bundle.taken)


def _entry(bundle: Bundle, key: Key) -> Entry | None:
    return next((each for each in bundle.entries if each.key == key), None)


def _is_secret(piece: Piece) -> bool:
    return piece.what.resource == SECRETS.plural and not piece.what.group


def _halves(group: _Group) -> list[_Group]:
    items = group.items
    half = len(items) // 2
    return [
        _Group([item for item in some if item.piece is not None], [item for item in some if item.piece is None])
        for some in (items[:half], items[half:])
    ]
