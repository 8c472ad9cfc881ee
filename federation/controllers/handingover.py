"""Carry out one command for a cluster in pull mode: write or delete its ManifestWork at the hub (a Carrier).

That a work was written, or that its deletion was accepted, is not yet what its agent does: that is observed later, in
the work's status and by its end (controllers.pulling).
"""

from typing import Any

from federation.controllers.bundling import Bundler
from federation.controllers.learning import Turn
from federation.controllers.outcomes import Outcome, Prove, doubted, failed, unproven
from federation.controllers.ports import WorksPort
from federation.core import classification, scrubbing, works
from federation.core.proof import Doubt, Proof
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.plan import Delete, HandOver, Release
from federation.model.resources import ObjectName
from federation.model.works import DELETED_ANNOTATION, HUB_LABEL, MANIFEST_WORKS, MOVES_ANNOTATION, Propagation

_LONGEST_NOTE = 200


class HandingOver:
    """The Carrier of one cluster. `hub` writes at the hub under the field manager of push."""

    def __init__(self, cluster: str, hub: WorksPort, bundler: Bundler) -> None:
        self.manager = hub.manager
        self._cluster = cluster
        self._hub = hub
        self._bundler = bundler

    async def carry_out(self, turn: Turn, prove: Prove | None) -> Outcome:
        """Carrier."""
        if self._bundler.takes(turn):
            return await self._bundler.carry_out(turn, prove or unproven)
        match turn.action:
            case HandOver() as action:
                return await self._write(action)
            case Delete(uid=uid):
                return await self._remove(turn, uid, Propagation.FOREGROUND, prove or unproven)
            case Release(uid=uid):
                return await self._remove(turn, uid, Propagation.ORPHAN, prove or unproven)
            case _:
                raise TypeError(f"no command for an agent: {type(turn.action).__name__}")

    async def _write(self, action: HandOver) -> Outcome:
        where = ObjectName(self._cluster, action.work)
        # Who has changed a work of ours is overruled. Nobody's work is: one is created, or it is known by its uid.
        if action.uid:
            written = await self._hub.merge(where, works.changed(action.body, self.manager, action.uid, action.next))
        else:
            written = await self._hub.create(where, works.created(action.body, self._cluster, self.manager))
        if isinstance(written, Failure):
            if not action.uid and written.kind is FailureKind.ALREADY_EXISTS:
                return await self._is_there(where, written)
            return failed(classification.of_apply(written), "update" if action.uid else "create")
        return Outcome(handed_over=True)

    async def _is_there(self, where: ObjectName, refused: Failure) -> Outcome:
        """A work of this name that we have not seen: ours, which the watch is about to show (then it is planned again,
        by what it says), or somebody else's."""
        found = await self._hub.read_whole(MANIFEST_WORKS, where)
        if isinstance(found, Failure):
            return failed(refused if found.kind is FailureKind.NOT_FOUND else found, "create")
        if found.content["metadata"].get("labels", {}).get(HUB_LABEL) == self.manager:
            return Outcome(handed_over=True)
        message = f"ManifestWork {where} is at the hub already, and is not what this hub has written"
        return Outcome(status=PropagationStatus.ALREADY_EXISTS, message=message, failure=refused)

    async def _remove(self, turn: Turn, uid: str, policy: Propagation, prove: Prove) -> Outcome:
        """Delete the work, so that its agent does with the copy what the policy says."""
        where = ObjectName(self._cluster, works.name(turn.state.type, turn.target))
        if not uid:
            found = await self._hub.read(MANIFEST_WORKS, where)
            if isinstance(found, Failure) and found.kind is not FailureKind.NOT_FOUND:
                return failed(found, "delete")
            if isinstance(found, Failure) and not self._is_lost(turn):
                return Outcome(gone=True)
            uid = found.uid if not isinstance(found, Failure) else ""
        proof = await prove()
        if isinstance(proof, Doubt):
            return doubted(proof)
        if not uid:
            # Its agent holds the copy until it is told. That nothing is asked for in the work says so already.
            content = works.emptied(turn.state.type, turn.name, turn.target)
            written = await self._hub.create(where, works.created(content, self._cluster, self.manager))
            if isinstance(written, Failure):
                return failed(written, "delete")
            uid = written.metadata.uid
        return await remove(self._hub, where, uid, policy, proof)

    def _is_lost(self, turn: Turn) -> bool:
        applied = turn.track.applied.get(self._cluster)
        return isinstance(turn.action, Delete) and applied is not None and applied.by_work


async def remove(
    hub: WorksPort,
    where: ObjectName,
    uid: str,
    policy: Propagation,
    proof: Proof,
    *,
    moves: bool = False,
) -> Outcome:
    """Delete the work with this uid, so that its agent does with the copy what the policy says.

    `moves`: the cluster is in push mode now, so that the agent hands the copy over to our field manager.
    """
    changes = [
        {"op": "test", "path": "/metadata/uid", "value": uid},
        # Also where it was seen to say so: what was written since may say otherwise.
        {"op": "replace", "path": "/spec/deleteOption/propagationPolicy", "value": policy},
        # Without a note the agent would believe nobody: see work.holding.
        _note(DELETED_ANNOTATION, scrubbing.line(proof.by, _LONGEST_NOTE)),
    ]
    if moves:
        changes.append(_note(MOVES_ANNOTATION, "true"))
    changes.append({"op": "add", "path": "/metadata/managedFields", "value": [{}]})  # the writes that follow cost less
    patched = await hub.patch(MANIFEST_WORKS, where, changes)
    if isinstance(patched, Failure):
        return failed(patched, "release" if policy is Propagation.ORPHAN else "delete")
    failure = await hub.delete(MANIFEST_WORKS, where, uid, {}, proof)
    if failure is not None:
        return failed(failure, "delete")
    return Outcome(removed="released" if policy is Propagation.ORPHAN else "deleted")


def _note(annotation: str, value: str) -> dict[str, Any]:
    path = f"/metadata/annotations/{annotation.replace('/', '~1')}"
    return {"op": "add", "path": path, "value": value}
