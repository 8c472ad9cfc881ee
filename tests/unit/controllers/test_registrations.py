"""The hub's own decisions on requests: renewals, tokens' rules, and what is left to a person; on a hub in memory."""

import asyncio
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from federation.controllers.events import Events
from federation.controllers.registrations import Registrations
from federation.controllers.triggers import StoredSink
from federation.controllers.world import World
from federation.core import times
from federation.kube import decoding
from federation.model.failures import Failure, FailureKind
from federation.model.resources import (
    CERTIFICATE_REQUESTS,
    KUBEFED_CLUSTERS,
    NAMESPACES,
    ROLE_BINDINGS,
    SERVICE_ACCOUNTS,
    ObjectName,
)
from federation.registration import asking, certificates, grants, invitations, names
from federation.runtime.store import Store
from federation.runtime.tasks import Tasks
from federation.runtime.workers import Workers
from tests.fakehub import FakeHub
from tests.unit.virtualtime import EPOCH, virtual

SYSTEM = "kube-federation-system"
HOME = invitations.namespace(SYSTEM)
TOKEN = "register-1"
HOLDER = f"system:serviceaccount:{HOME}:{TOKEN}"
KEY = certificates.new_key()


class Hub(FakeHub):
    """With access reviews: `may` is whether they say yes."""

    may: bool | Failure = True

    async def allows(self, review: Any) -> bool | Failure:
        self.reads.append(f"review {review['spec']['user']} in {review['spec']['resourceAttributes']['namespace']}")
        return self.may


def _now() -> float:
    return time.time()  # which virtual time exchanges


class Site:
    def __init__(self) -> None:
        self.hub = Hub()
        self.clusters: Store[Any] = Store()
        self.events = Events(World(), self.hub)
        self.registrations = Registrations(self.hub, self.clusters, events=self.events, namespace=SYSTEM, now=_now)
        self.tasks = Tasks()

    async def __aenter__(self) -> "Site":
        made = self.registrations
        self.hub.follow(KUBEFED_CLUSTERS, StoredSink(self.clusters, made.cluster_observed), decoding.stored)
        self.hub.follow(CERTIFICATE_REQUESTS, StoredSink(made.objects, made.queue.add), decoding.stored)
        self.tasks.keep(self.events.serve, "events")
        self.tasks.keep(Workers("registration", made.queue, made.process).serve, "registrations")
        await asyncio.sleep(1)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.tasks.cancel()

    async def ask(self, cluster: str, agent: str, username: str, name: str = "csr", **spec: Any) -> dict[str, Any]:
        """Conditions of a request some time after it was made."""
        body = asking.manifest(name, cluster, certificates.request(KEY, cluster, agent))
        where = ObjectName("", name)
        self.hub.put(
            CERTIFICATE_REQUESTS, where, metadata=body["metadata"], spec=body["spec"] | {"username": username} | spec
        )
        await asyncio.sleep(5)
        stored = self.hub.get(CERTIFICATE_REQUESTS, where) or {}
        return {each["type"]: each for each in stored.get("status", {}).get("conditions", [])}

    def token(self, accepts: str = "", ends: float = 3600.0) -> None:
        now = EPOCH + asyncio.get_running_loop().time()
        annotations = {invitations.ENDS_ANNOTATION: times.rfc3339(now + ends), invitations.ACCEPT_ANNOTATION: accepts}
        labels = {invitations.TOKEN_LABEL: "true"}
        self.hub.put(SERVICE_ACCOUNTS, ObjectName(HOME, TOKEN), metadata={"annotations": annotations, "labels": labels})

    def accepted(self, cluster: str, agent: str) -> None:
        for manifest in grants.manifests(cluster, agent, SYSTEM, "before", {}):
            resource, where = grants.place(manifest)
            content = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind", "metadata")}
            noted = {key: value for key, value in manifest["metadata"].items() if key in ("labels", "annotations")}
            self.hub.put(resource, where, metadata=noted, **content)


@virtual
async def test_a_renewal_is_approved_once_the_hub_says_that_it_may() -> None:
    async with Site() as site:
        site.accepted("east", "a1")
        user = names.user("east", "a1")
        assert "Approved" in await site.ask("east", "a1", user)
        assert f"review {user} in east" in site.hub.reads
        site.hub.may = False
        with capture_logs() as logs:
            assert await site.ask("east", "a1", user, "again") == {}
        assert [(each["event"], each["reason"]) for each in logs if each["log_level"] == "warning"] == [
            ("certificate refused", "it may not renew any more")
        ]


@virtual
async def test_a_hub_that_does_not_answer_whether_it_may_is_asked_again() -> None:
    async with Site() as site:
        site.accepted("east", "a1")
        site.hub.may = Failure(FailureKind.UNAVAILABLE, "away")
        assert await site.ask("east", "a1", names.user("east", "a1")) == {}
        site.hub.may = True
        await asyncio.sleep(60)
        stored = site.hub.get(CERTIFICATE_REQUESTS, ObjectName("", "csr")) or {}
        assert stored["status"]["conditions"][0]["type"] == "Approved"


@virtual
async def test_another_clusters_agent_is_refused_and_that_is_told_once() -> None:
    async with Site() as site:
        site.accepted("east", "a1")
        site.accepted("west", "b1")
        assert await site.ask("west", "b1", names.user("east", "a1")) == {}
        site.registrations.queue.add("csr")
        await asyncio.sleep(5)
        (event,) = site.hub.events
        assert (event["reason"], event["involvedObject"]["name"]) == ("RegistrationRefused", "west")
        assert "system:open-cluster-management:east:a1" in event["message"]


@virtual
async def test_a_token_accepts_what_it_names_and_all_is_there_before_the_approval() -> None:
    async with Site() as site:
        site.token("east")
        assert "Approved" in await site.ask("east", "a1", HOLDER)
        stored = site.hub.get(KUBEFED_CLUSTERS, ObjectName(SYSTEM, "east")) or {}
        assert stored["spec"] == {"syncMode": "Pull"}
        noted = {grants.AGENT_ANNOTATION: "a1", grants.REQUEST_ANNOTATION: "hub-2"}
        assert stored["metadata"]["annotations"] == noted
        assert site.hub.get(ROLE_BINDINGS, ObjectName("east", grants.AGENT_ROLE)) is not None
        writes = [each for each in site.hub.writes if not each.startswith("create events")]
        assert writes[-2:] == ["create kubefedclusters", "approval csr"]


@pytest.mark.parametrize(
    ("accepts", "ends", "cluster"),
    [("west", 3600.0, "east"), ("", 3600.0, "east"), ("*", -1.0, "east"), ("e?st", 3600.0, "east")],
)
def test_what_a_token_does_not_accept_waits_for_a_person(accepts: str, ends: float, cluster: str) -> None:
    @virtual
    async def run() -> None:
        async with Site() as site:
            site.token(accepts, ends)
            assert await site.ask(cluster, "a1", HOLDER) == {}
            assert site.hub.get(KUBEFED_CLUSTERS, ObjectName(SYSTEM, cluster)) is None
            assert site.hub.get(NAMESPACES, ObjectName("", cluster)) is None

    run()


@virtual
async def test_a_token_that_was_deleted_accepts_nothing() -> None:
    async with Site() as site:
        assert await site.ask("east", "a1", HOLDER) == {}
        assert site.hub.get(NAMESPACES, ObjectName("", "east")) is None


@virtual
async def test_nothing_that_is_there_is_taken_over_by_a_token() -> None:
    async with Site() as site:
        site.token("*")
        site.hub.put(NAMESPACES, ObjectName("", "kube-system"))
        assert await site.ask("kube-system", "a1", HOLDER) == {}
        assert site.hub.get(ROLE_BINDINGS, ObjectName("kube-system", grants.AGENT_ROLE)) is None
        site.accepted("east", "first")
        assert await site.ask("east", "second", HOLDER, "second") == {}
        binding = site.hub.get(ROLE_BINDINGS, ObjectName("east", grants.AGENT_ROLE)) or {}
        assert binding["subjects"][0]["name"] == names.user("east", "first")
        site.hub.put(ROLE_BINDINGS, ObjectName("west", grants.AGENT_ROLE), subjects=[])
        assert await site.ask("west", "a1", HOLDER, "third") == {}, "a binding is left from before"


@virtual
@pytest.mark.parametrize("labels", [{grants.OURS: "true", names.CLUSTER_LABEL: "east"}, {}], ids=["its own", "another"])
async def test_a_namespace_that_is_being_deleted_is_waited_for(labels: dict[str, str]) -> None:
    """The cluster was unregistered a moment ago."""
    async with Site() as site:
        site.token("east")
        place = ObjectName("", "east")
        site.hub.put(NAMESPACES, place, metadata={"labels": labels, "finalizers": ["kubernetes"]})
        site.hub.delete(NAMESPACES, place)
        assert await site.ask("east", "a1", HOLDER) == {}
        site.hub.put(NAMESPACES, place, metadata={"finalizers": []})
        await asyncio.sleep(120)
        stored = site.hub.get(CERTIFICATE_REQUESTS, ObjectName("", "csr")) or {}
        assert [each["type"] for each in stored["status"]["conditions"]] == ["Approved"]


@virtual
async def test_a_cluster_that_a_person_has_made_gets_its_agent() -> None:
    """Declared in git, without an agent: the token says which may be it."""
    async with Site() as site:
        site.token("east")
        site.hub.put(KUBEFED_CLUSTERS, ObjectName(SYSTEM, "east"), spec={"syncMode": "Pull"})
        assert "Approved" in await site.ask("east", "a1", HOLDER)
        stored = site.hub.get(KUBEFED_CLUSTERS, ObjectName(SYSTEM, "east")) or {}
        assert stored["metadata"]["annotations"][grants.AGENT_ANNOTATION] == "a1"


@virtual
async def test_a_request_that_changes_under_the_decision_is_decided_anew() -> None:
    async with Site() as site:
        site.accepted("east", "a1")
        refusals = iter([Failure(FailureKind.VERSION_CONFLICT, "changed", 409)])
        site.hub.fails = lambda verb, name: next(refusals, None) if verb == "approval" else None
        assert "Approved" in await site.ask("east", "a1", names.user("east", "a1"))
        assert site.hub.writes.count("approval csr") == 2


@virtual
async def test_an_acceptance_that_was_interrupted_is_finished() -> None:
    """The KubeFedCluster is there, and the approval failed: the same request is no second one."""
    async with Site() as site:
        site.token("east")
        refusals = iter([Failure(FailureKind.UNREACHABLE, "away")] * 3)
        site.hub.fails = lambda verb, name: next(refusals, None) if verb == "approval" else None
        assert "Approved" in await site.ask("east", "a1", HOLDER)
        assert await site.ask("east", "a1", HOLDER, "another") == {}, "but another request of the same agent is"


@virtual
async def test_tokens_that_have_ended_are_cleared_up() -> None:
    async with Site() as site:
        site.token(ends=10.0)
        site.hub.put(SERVICE_ACCOUNTS, ObjectName(HOME, "default"))
        await site.registrations.clear_up()
        assert site.hub.get(SERVICE_ACCOUNTS, ObjectName(HOME, TOKEN)) is not None
        await asyncio.sleep(11)
        await site.registrations.clear_up()
        assert site.hub.get(SERVICE_ACCOUNTS, ObjectName(HOME, TOKEN)) is None
        assert site.hub.get(SERVICE_ACCOUNTS, ObjectName(HOME, "default")) is not None
