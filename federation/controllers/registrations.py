"""Requests of clusters in pull mode: renewals are approved, and first ones where their token says so; by rules alone.

The rules are registration.approval's. A request that breaks one, or that a person decides, is left as it is and told
once. Tokens that have ended are cleared up. Approving is the last step: what an agent may do is there before it can.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol

import orjson
import structlog

from federation.controllers.ports import EventPoster, HubPort
from federation.core import times
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata, StoredObject
from federation.model.resources import (
    CERTIFICATE_REQUESTS,
    KUBEFED_CLUSTERS,
    NAMESPACES,
    SERVICE_ACCOUNTS,
    ObjectName,
    Resource,
)
from federation.registration import approval, asking, grants, invitations, names
from federation.registration.approval import Decision, Known, Verdict
from federation.registration.asking import Request
from federation.registration.grants import Manifest
from federation.registration.invitations import Rule
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.store import Store

TOLD = 1_000
"""Requests about which it is remembered that they were told."""

log = structlog.get_logger()


class RegistrationHub(HubPort, Protocol):
    """What is asked of the hub beside what all controllers ask."""

    async def allows(self, review: Any) -> bool | Failure:
        """Whether a SubjectAccessReview says yes."""

    async def remove(self, resource: Resource, name: ObjectName) -> Failure | None:
        """DELETE one object."""


class Registrations:
    """All requests. Its queue has their names; `process` is its worker's turn. `clusters` are the KubeFedClusters."""

    def __init__(
        self,
        hub: RegistrationHub,
        clusters: Store[StoredObject],
        *,
        events: EventPoster,
        namespace: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.queue: KeyQueue[str] = KeyQueue()
        self.objects: Store[StoredObject] = Store()
        self._hub = hub
        self._clusters = clusters
        self._events = events
        self._namespace = namespace
        self._home = invitations.namespace(namespace)
        self._now = now
        self._told: dict[tuple[str, str], None] = {}

    def cluster_observed(self, name: str) -> None:
        """A KubeFedCluster changed: what asks for its name may be decided otherwise."""
        for where, stored in self.objects.items():
            if stored.metadata.labels.get(names.CLUSTER_LABEL) == name:
                self.queue.add(where.name)

    async def process(self, name: str) -> None:
        """Decide on one request. Raises ApiFailure where the hub refuses; it then comes again."""
        stored = self.objects.get(ObjectName("", name))
        if stored is None or stored.broken:
            return
        request = asking.read(stored)
        if request.state is not asking.State.PENDING:
            return
        from federation.registration import certificates  # noqa: PLC0415 - cryptography takes 16 MB

        cluster = self._clusters.get(ObjectName(self._namespace, request.labelled))
        rule = await self._rule(request)
        decision = approval.decide(request, certificates.contents, grants.known(cluster), rule)
        if decision.verdict is Verdict.RENEW:
            allowed = _expect(await self._hub.allows(grants.review(request.username, request.groups, decision.cluster)))
            if allowed:
                await self._approve(stored, decision)
                return
            decision = Decision(Verdict.WRONG, "it may not renew any more", decision.cluster, decision.agent)
        if decision.verdict is Verdict.ACCEPT:
            why = await self._accept(decision, request, grants.known(cluster))
            if not why:
                await self._approve(stored, decision)
                return
            decision = Decision(Verdict.PERSON, why, decision.cluster, decision.agent)
        self._tell(request, decision, cluster)

    async def clear_up(self) -> None:
        """Delete the accounts of tokens that have ended. Raises ApiFailure."""
        for meta in _expect(await self._hub.list_metadata(SERVICE_ACCOUNTS, self._home)):
            if meta.labels.get(invitations.TOKEN_LABEL) == "true" and self._ended(meta):
                where = ObjectName(self._home, meta.name)
                if (failure := await self._hub.remove(SERVICE_ACCOUNTS, where)) is None:
                    log.info("token has ended", token=meta.name)
                elif failure.kind is not FailureKind.NOT_FOUND:
                    raise ApiFailure(failure, f"delete serviceaccount {where}")

    async def _rule(self, request: Request) -> Rule | None:
        """The rule of the token that a request was made with, as it is now; None for no token of ours."""
        account = invitations.account_of(request.username, self._namespace)
        if not account:
            return None
        meta = await self._hub.read_metadata(SERVICE_ACCOUNTS, ObjectName(self._home, account))
        if isinstance(meta, Failure):
            if meta.kind in (FailureKind.NOT_FOUND, FailureKind.NAMESPACE_MISSING):
                return Rule(account, (), ended=True)  # it was ended by its deletion
            raise ApiFailure(meta, f"token {account}")
        return invitations.rule(account, meta.annotations, ended=self._ended(meta))

    def _ended(self, meta: Metadata) -> bool:
        ends = times.moment(meta.annotations.get(invitations.ENDS_ANNOTATION))
        return ends is not None and ends.timestamp() <= self._now()

    async def _accept(self, decision: Decision, request: Request, known: Known | None) -> str:
        """Make what an accepted cluster has; "" when all is there, else why a person has to."""
        if known is not None and known.request == request.uid:
            return ""  # the KubeFedCluster, which says so, comes last
        manifests = grants.manifests(decision.cluster, decision.agent, self._namespace, request.uid, {})
        stored = self._clusters.get(ObjectName(self._namespace, decision.cluster))
        for manifest in manifests:
            resource, where = grants.place(manifest)
            failure = await self._hub.create(resource, where.namespace, manifest)
            if failure is None:
                continue
            if failure.kind is not FailureKind.ALREADY_EXISTS:
                if failure.concerns == "object" and failure.kind is not FailureKind.NAMESPACE_TERMINATING:
                    return f"{resource.kind} {where} cannot be made: {failure.message}"
                raise ApiFailure(failure, f"create {resource.kind} {where}")
            if why := await self._taken(resource, where, manifest, stored):
                return why
        return ""

    async def _taken(
        self, resource: Resource, where: ObjectName, manifest: Manifest, stored: StoredObject | None
    ) -> str:
        """Why something of this name, which is there, keeps a cluster from being accepted; "" when it does not."""
        if resource == NAMESPACES:
            meta = _expect(await self._hub.read_metadata(resource, where))
            if meta.deletion_timestamp is not None:  # as after the cluster was unregistered; then there is none
                going = Failure(FailureKind.NAMESPACE_TERMINATING, f"namespace {where.name} is being deleted")
                raise ApiFailure(going, f"create {resource.kind} {where}")
            if grants.is_ours(meta.labels, where.name):
                return ""
            return f"namespace {where.name} exists and was not made for this cluster"
        if resource == KUBEFED_CLUSTERS and stored is not None and stored.pulls:
            body = orjson.dumps({"metadata": {"annotations": manifest["metadata"]["annotations"]}})
            _expect(await self._hub.merge(resource, where, body))
            return ""
        return f"{resource.kind} {where} is left from before"

    async def _approve(self, stored: StoredObject, decision: Decision) -> None:
        meta = stored.metadata
        status = grants.approved(decision.reason, times.rfc3339(self._now()))
        body = {"metadata": {"uid": meta.uid, "resourceVersion": meta.resource_version}, "status": status}
        where = ObjectName("", meta.name)
        answer = await self._hub.merge(CERTIFICATE_REQUESTS, where, orjson.dumps(body), subresource="approval")
        if isinstance(answer, Failure):
            if answer.kind is FailureKind.NOT_FOUND:
                return
            raise ApiFailure(answer, f"approve certificatesigningrequest {meta.name}")
        log.info("certificate approved", cluster=decision.cluster, agent=decision.agent, reason=decision.reason)

    def _tell(self, request: Request, decision: Decision, cluster: StoredObject | None) -> None:
        """Once for each request and reason; as an event where there is a cluster that it is about."""
        what = (request.uid, decision.reason)
        if what in self._told:
            return
        if len(self._told) >= TOLD:
            self._told.clear()
        self._told[what] = None
        wrong = decision.verdict is Verdict.WRONG
        tell = log.warning if wrong else log.info
        tell(
            "certificate refused" if wrong else "certificate waits for a person",
            cluster=decision.cluster,
            agent=decision.agent,
            requester=request.username,
            reason=decision.reason,
        )
        if cluster is not None:
            reason = "RegistrationRefused" if wrong else "RegistrationWaits"
            message = f"certificatesigningrequest {request.name} of {request.username}: {decision.reason}"
            self._events.about(KUBEFED_CLUSTERS, cluster.metadata, "Warning", reason, message)


def _expect(answer: Any) -> Any:
    if isinstance(answer, Failure):
        raise ApiFailure(answer, "registration")
    return answer
