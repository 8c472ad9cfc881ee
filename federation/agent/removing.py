"""Remove from the member what is proven to be wanted no more: only what the record has, and only if it is ours.

An object goes when no other work names it. It is deleted by its uid; one that stays (Orphan) loses our marks and keeps
everything else. Whether an object is ours is seen from its uid in the record, or from its owner reference.
"""

from collections.abc import Sequence

import structlog

from federation.agent.kinds import Kinds
from federation.agent.pushing import Pusher
from federation.agent.records import Records
from federation.agent.world import WorkState, World
from federation.core.proof import Proof
from federation.kube.connection import METADATA
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.resources import Resource
from federation.model.works import FIELD_MANAGER, AppliedResource, AppliedWork, Identifier, Manifest, Work
from federation.work import copies, deciding, holding, parsing
from federation.work.copies import Copy
from federation.work.deciding import Wish

log = structlog.get_logger()


class Remover:
    """Removals in one member."""

    def __init__(self, world: World, kinds: Kinds, pusher: Pusher, records: Records) -> None:
        self._world = world
        self._kinds = kinds
        self._pusher = pusher
        self._records = records
        self._deleted: dict[Identifier, str] = {}
        """Objects that the member was told to delete, by their uids, until it shows that they are gone."""

    async def remove(self, state: WorkState) -> bool:
        """Everything of a work; whether nothing of it is left, its record included. Raises ApiFailure."""
        applied = state.applied
        if applied is None:
            return True
        if state.work is None and state.known:
            state.work = parsing.read(state.name, state.spec, uid=state.uid, generation=state.generation)
        if state.work is not None and state.work.unsure and not applied.let_go:
            state.held = f"{holding.UNSURE} ({state.work.problem})"
            return False
        stays = () if applied.let_go or state.work is None else self._unproven(state, state.work, applied)
        going = [each for each in reversed(applied.resources) if each not in stays]
        proof = holding.goes(let_go=applied.let_go)
        if [*await self.drop(state, stays, proof, stays=True), *await self.drop(state, going, proof)]:
            return False
        if state.applied is not None:
            await self._records.delete(state.applied)
        return True

    @staticmethod
    def _unproven(state: WorkState, work: Work, applied: AppliedWork) -> tuple[AppliedResource, ...]:
        """What the work had lost before it was deleted: that its other objects go says nothing of these.

        Without the work at the hub it is not known whose it was, nor what was taken out of it.
        """
        hub = state.pusher or ("?" if state.item is None else "")
        return holding.unproven(hub, state.notes, deciding.unnamed(applied.resources, work.manifests))

    async def drop(
        self, state: WorkState, resources: Sequence[AppliedResource], proof: Proof, *, stays: bool = False
    ) -> list[AppliedResource]:
        """These objects of a work; those that are still there. Raises ApiFailure where the member cannot be asked.

        They are deleted where the work does not say that they stay; with `stays` they stay, whatever it says.
        """
        return [each for each in resources if not await self._gone(state, each, proof, stays=stays)]

    async def _gone(self, state: WorkState, each: AppliedResource, proof: Proof, *, stays: bool) -> bool:
        work = state.work
        what = each.what
        others = [wish for name, wish in self._world.wishes.get(what, {}).items() if name != state.name]
        resource = await self._kinds.resource(what, each.version)
        if isinstance(resource, Failure):
            if resource.kind is FailureKind.TYPE_MISSING:
                return True  # the type is gone, and its objects with it
            raise ApiFailure(resource, f"removing {what}")
        if self._kinds.copy(what) is None and self._deleted.pop(what, ""):
            return True
        copy = await self._copy(resource, what)
        if copy is None:
            return True
        owner = state.applied.uid if state.applied is not None else ""
        if others:
            # They were woken, and apply it without our reference. Until then it would be collected with our record.
            await self._withdraw(state, resource, each, others)
            return not owner or owner not in copy.owners
        if not deciding.is_ours(copy, each, owner) and not self._recorded(state, what, copy):
            log.info("object is somebody else's by now, and stays", cluster=self._world.cluster, object=str(what))
            return True
        if not stays and (work is None or not work.orphaned(what)):
            return await self._delete(resource, what, copy, proof)
        if state.pusher:
            failure = await self._pusher.let_go(resource, what, owner, state.pusher, moves=state.moves)
            if failure is None or failure.kind is FailureKind.NOT_FOUND:
                self._kinds.forget(what)
                return True
            if failure.kind is not FailureKind.INVALID:
                raise ApiFailure(failure, f"letting go of {what}")
        return await self._release(resource, what, work.manifests if work is not None else (), copy)

    async def _copy(self, resource: Resource, what: Identifier) -> Copy | None:
        """The object as it is: as it was observed, or, where our label is not on it, as the member has it now."""
        copy = self._kinds.copy(what)
        if copy is not None:
            return copy
        answer = await self._pusher.connection.request("GET", resource.path(what.where), accept=METADATA)
        if isinstance(answer, Failure):
            if answer.kind in (FailureKind.NOT_FOUND, FailureKind.NAMESPACE_MISSING, FailureKind.TYPE_MISSING):
                return None
            raise ApiFailure(answer, f"reading {what}")
        return copies.observe(copies.decode(answer.body))

    async def _delete(self, resource: Resource, what: Identifier, copy: Copy, proof: Proof) -> bool:
        if copy.deleting or self._deleted.get(what) == copy.uid:
            return False
        observed = self._kinds.copy(what) is not None
        failure = await self._pusher.delete(resource, what, copy.uid, proof)
        if failure is not None:
            if failure.kind is FailureKind.UID_MISMATCH:
                self._kinds.forget(what)
                return False
            raise ApiFailure(failure, f"deleting {what}")
        log.info("object deleted", cluster=self._world.cluster, object=str(what), reason=proof.by)
        if not observed or not self._kinds.known(what):
            return await self._copy(resource, what) is None  # nothing shows when it is gone
        if self._kinds.copy(what) is None:
            return True  # its watch was faster than the answer
        self._deleted[what] = copy.uid
        return False

    async def _release(self, resource: Resource, what: Identifier, manifests: Sequence[Manifest], copy: Copy) -> bool:
        """The object stays: our label, our annotation and our owner reference go."""
        wanted = next(
            (
                each
                for each in manifests
                if not each.problem
                and (each.group, each.kind, each.name) == (what.group, resource.kind, what.name)
                and (each.namespace if resource.namespaced else "") == what.namespace
            ),
            None,
        )
        managers = [each.manager for each in copy.owned] or [FIELD_MANAGER]
        for manager in managers:
            marks = manager == deciding.MARKS_MANAGER or wanted is None
            version = wanted.version if wanted is not None else resource.version
            content = (
                deciding.nothing(resource.group, version, resource.kind, what)
                if marks or wanted is None
                else deciding.released(wanted)
            )
            if wanted is None and manager != deciding.MARKS_MANAGER:
                continue  # without its manifest nothing may be taken out of it
            failure = await self._pusher.release(resource, what, content, manager)
            if failure is not None and failure.kind is not FailureKind.NOT_FOUND:
                raise ApiFailure(failure, f"letting go of {what}")
        self._kinds.forget(what)
        return True

    async def _withdraw(
        self, state: WorkState, resource: Resource, each: AppliedResource, others: Sequence[Wish]
    ) -> None:
        """Others name the object, too: what only this work's field manager has of it goes."""
        managers = {wish.strategy.manager for wish in others}
        suffix = f" {each.what}"
        for key in list(state.records):
            manager = key.removesuffix(suffix)
            if not key.endswith(suffix) or manager in managers:
                continue
            content = deciding.nothing(resource.group, each.version, resource.kind, each.what)
            failure = await self._pusher.release(resource, each.what, content, manager)
            if failure is not None and failure.kind is not FailureKind.NOT_FOUND:
                raise ApiFailure(failure, f"withdrawing from {each.what}")
            del state.records[key]

    def _recorded(self, state: WorkState, what: Identifier, copy: Copy) -> bool:
        """Whether what was kept of the last apply has the object's uid."""
        return any(key.endswith(f" {what}") and record.uid == copy.uid for key, record in state.records.items())
