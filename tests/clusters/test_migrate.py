"""`fedctl migrate` on a hub as KubeFed leaves it: KubeFed stopped and started again, and taken over for good.

The clusters are this module's own: KubeFed's CRDs are another's than those of every other test. The tests share them in
their order: each but the last leaves KubeFed as it was.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from federation.core import jwt
from federation.joining import tokens
from federation.joining.contexts import Contexts
from federation.joining.reaching import Reach
from federation.joining.setup import quiet
from federation.kube.connection import Connection
from federation.migrating import gathering, members, narrowing, stopping
from federation.migrating.facts import Facts
from federation.migrating.members import Visit
from federation.model import marks
from federation.model.resources import ObjectName
from federation.playground import access
from federation.playground.clusters import Playground
from tests.clusters import kubefed, sessions
from tests.clusters.fedctl import ADMISSION, RBAC, Site
from tests.clusters.harness import Controller, ready
from tests.clusters.kubefed import CRDS, MEMBERS, SPACE, TYPES
from typegen import templates

pytestmark = pytest.mark.timeout(240)
HOOKS = (
    f"{ADMISSION}/validatingwebhookconfigurations/{kubefed.VALIDATING}",
    f"{ADMISSION}/mutatingwebhookconfigurations/{kubefed.MUTATING}",
)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A host and two members, with KubeFed."""
    with sessions.directory() as directory:
        names = ("host", *MEMBERS)
        playground = Playground.up(directory, names, controller_manager=names, report=lambda _: None)
        trust = access.tls(playground.clusters["host"].ca_pem)
        site = Site(playground, trust, marks.SYSTEM_NAMESPACE, tmp_path_factory.mktemp("migrate"))
        kubefed.install(site)
        for member in MEMBERS:
            kubefed.join(site, member)
        kubefed.propagate(site)
        kubefed.hook(site)
        yield site
        playground.down()


def everything(site: Site) -> dict[str, Any]:
    """What may have been written: every object that matters here, at the host and in members, by its path.

    By its generation where it has one: its resourceVersion moves with the statuses that Kubernetes' controllers write.
    On the Secrets with members' tokens their API servers note when these were used last.
    """
    paths = [site.in_system(each) for each in ("secrets", "configmaps", "serviceaccounts")]
    paths += [site.kubefed(each) for each in ("kubefedclusters", "kubefedconfigs", "federatedtypeconfigs")]
    paths += [kubefed.deployments(site), CRDS, f"{RBAC}/clusterroles", f"{kubefed.ALPHA}/propagatedversions"]
    paths += [f"{ADMISSION}/{each}webhookconfigurations" for each in ("validating", "mutating")]
    paths += [f"{TYPES}/federated{each[3]}" for each in kubefed.KINDS]
    found = {str(key): each["metadata"] for key, each in kubefed.held(site).items()}
    for cluster in ("host", *MEMBERS):
        for path in paths if cluster == "host" else (f"{RBAC}/clusterroles",):
            for each in (site.get(cluster, path) or {"items": []})["items"]:
                metadata = each["metadata"]
                found[f"{cluster} {path} {metadata.get('namespace', '')}/{metadata['name']}"] = metadata
    return {key: each.get("generation") or each["resourceVersion"] for key, each in found.items()}


def moved(site: Site, before: dict[str, Any]) -> set[str]:
    """What was written since."""
    return {key for key, _ in everything(site).items() ^ before.items()}


def state(site: Site) -> dict[str, Any]:
    """What `--undo` promises: replicas, and the configurations as somebody wrote them."""
    found: dict[str, Any] = {}
    for name in ("kubefed-controller-manager", "kubefed-admission-webhook"):
        stored = site.get("host", kubefed.deployments(site, name))
        assert stored is not None
        found[name] = stored["spec"]["replicas"]
    for path in HOOKS:
        stored = site.get("host", path)
        own = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")
        found[path] = stored and {
            "webhooks": stored["webhooks"],
            "metadata": {key: value for key, value in stored["metadata"].items() if key not in own},
        }
    return found


class Broken(Exception):
    """fedctl was killed."""


async def stop(site: Site) -> None:
    """As --stop does it, once the checks are made."""
    async with Contexts(str(site.kubeconfig)) as contexts:
        reach = Reach(contexts, await contexts.open("host"), site.namespace)
        assert await stopping.stop(reach, Visit(), 20.0, quiet) == []


async def undo(site: Site) -> None:
    """As --undo does it."""
    async with Contexts(str(site.kubeconfig)) as contexts:
        reach = Reach(contexts, await contexts.open("host"), site.namespace)
        await stopping.refuse(reach)
        await stopping.undo(reach, quiet)


async def narrow(site: Site, facts: Facts) -> None:
    """As --narrow does it, for the members in the facts."""
    async with Contexts(str(site.kubeconfig)) as contexts:
        reach = Reach(contexts, await contexts.open("host"), site.namespace)
        assert await narrowing.narrow(reach, facts, quiet) == []


async def look(site: Site) -> Facts:
    """What there is."""
    async with Contexts(str(site.kubeconfig)) as contexts:
        reach = Reach(contexts, await contexts.open("host"), site.namespace)
        facts = await gathering.read(reach.host, reach.namespace, compare=False)
        return await members.look(reach, facts, Visit(), quiet)


def killed_after(
    monkeypatch: pytest.MonkeyPatch, writes: Callable[[int], int], step: Callable[[], Coroutine[Any, Any, None]]
) -> int:
    """Run it again and again, and each time kill it when it has made so many writes; how often, until it was done."""
    sent, made, most = Connection.request, 0, 0

    async def counted(self: Connection, method: str, path: str, **how: Any) -> Any:
        nonlocal made
        if method != "GET" and "dryRun" not in path and "reviews" not in path:
            if made >= most:
                raise Broken
            made += 1
        return await sent(self, method, path, **how)

    for number in range(60):
        made, most = 0, writes(number)
        with monkeypatch.context() as patched, contextlib.suppress(Broken, ExceptionGroup):
            patched.setattr(Connection, "request", counted)
            asyncio.run(step())
            return number
    raise AssertionError("it does not come to an end")


def test_without_a_flag_nothing_is_written_and_all_is_said(old: Site) -> None:
    path = f"{TYPES}/namespaces/{SPACE}/federatedsecrets/web"
    wrong = {"stringData": {"misspelt": kubefed.SECRET_VALUE}, "typ": kubefed.SECRET_VALUE}
    old.merge("host", path, {"spec": {"template": wrong}})
    before = everything(old)
    ran = old.run("migrate", code=1)
    assert not moved(old, before)
    old.merge("host", path, {"spec": {"template": dict.fromkeys(wrong)}})
    before = everything(old)
    for text in (
        "1 objects have fields that the new CRD does not take, such as shop/web spec.template.typ",
        "kubefed-controller-manager: quay.io/kubernetes-multicluster/kubefed:v0.10.0, replicas 2",
        "deployment kubefed-controller-manager, deployment kubefed-admission-webhook",
        "the Helm release kubefed would start KubeFed again",
        "no effect here: spec.leaderElect.resourceLock: the lock is a Lease",
        "cluster m1: KubeFed's account has a token without end and every right there",
        "to do    --stop: deployment kubefed-controller-manager: replicas 2 -> 0",
        f"validatingwebhookconfiguration {kubefed.VALIDATING}: recorded and deleted",
        "blocked  --upgrade:",
        "5 PropagatedVersion",
        "next: fedctl migrate --stop",
    ):
        assert text in ran.out, f"{text!r} is not in:\n{ran.out}"
    assert kubefed.SECRET_VALUE not in ran.out + ran.err
    found = json.loads(old.run("migrate", "-o", "json", code=1).out)
    assert found["next"] == "--stop"
    assert {each["name"]: each["objects"] for each in found["types"]}["configmaps"] == 1
    assert not any(each["upToDate"] for each in found["types"])
    refused = old.run("migrate", "--upgrade", code=1).err
    assert "KubeFed is not stopped" in refused
    assert "nothing is recorded" in old.run("migrate", "--undo", code=1).err
    assert not moved(old, before)


def test_stopping_and_taking_it_back_may_be_broken_off_anywhere(old: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after every single write and run again: in the end all is stopped, and after that all is as before."""
    before = state(old)
    assert before["kubefed-controller-manager"] == 2
    assert killed_after(monkeypatch, lambda _: 1, lambda: stop(old)) >= 7, (
        "record, Deployments, configurations, snapshots"
    )
    stopped = state(old)
    assert (stopped["kubefed-controller-manager"], stopped["kubefed-admission-webhook"]) == (0, 0)
    assert (stopped[HOOKS[0]], stopped[HOOKS[1]]) == (None, None)
    assert kubefed.record(old)["replicas"] == {"kubefed-controller-manager": 2, "kubefed-admission-webhook": 1}
    # What the webhook would have been asked about can be written now.
    old.merge("host", old.kubefed("federatedtypeconfigs", "configmaps"), {"metadata": {"annotations": {"a": "b"}}})
    # Whatever is not as it was is told.
    web = f"/api/v1/namespaces/{SPACE}/configmaps/web"
    old.merge("m1", web, {"metadata": {"labels": {"kubefed.io/managed": None}}})
    old.delete("m2", web)
    ran = old.run("migrate", "--verify", code=1)
    assert "m1: configmaps shop/web changed in labels" in ran.out
    assert "m2: configmaps shop/web gone" in ran.out
    old.delete("m1", web)
    for member in MEMBERS:
        kubefed.make(old, member, kubefed.KINDS[1])
    ran = old.run("migrate", "--verify", code=1)
    assert "m2: configmaps shop/web recreated; since then written by kubefed" in ran.out
    assert killed_after(monkeypatch, lambda _: 1, lambda: undo(old)) >= 5
    assert state(old) == before
    assert kubefed.record(old) == {}
    left = old.get("host", old.in_system("configmaps") + "?labelSelector=kubefed.io/migration")
    assert left is not None
    assert not left["items"]


@pytest.fixture
def controller(old: Site, tmp_path: Path) -> Iterator[Controller]:
    """Ours, with the rights of its own service account; not started yet."""
    made = Controller(tmp_path / "controller.kubeconfig", tmp_path)
    yield made
    if made.process is not None:
        made.kill()


def log_in(site: Site, kubeconfig: Path) -> None:
    """A kubeconfig for the controller's account."""

    async def request() -> str:
        async with Contexts(str(site.kubeconfig)) as contexts:
            account = ObjectName(site.namespace, "kubefed-controller")
            return (await tokens.request(await contexts.open("host"), account)).token

    cluster = replace(site.playground.clusters["host"], token=asyncio.run(request()))
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_bytes(access.kubeconfig([cluster]))


def accepted(site: Site, member: str, token: str) -> bool:
    """Whether the member's API server takes a token."""
    holder = replace(site.playground.clusters[member], token=token)
    return access.request(holder, "GET", "/api/v1/namespaces/kube-system", site.trust)[0] != HTTPStatus.UNAUTHORIZED


def until(check: Callable[[], bool], what: str, within: float = 60.0) -> None:
    """Wait until it is so."""
    ends = time.monotonic() + within
    while not check():
        assert time.monotonic() < ends, f"not within {within:g} s: {what}"
        time.sleep(0.1)


def all_ready(site: Site) -> None:
    """Wait until every federated object is Ready."""

    def there() -> bool:
        listed = [site.get("host", f"{TYPES}/federated{kind[3]}") or {"items": []} for kind in kubefed.KINDS]
        found = [each for one in listed for each in one["items"]]
        return len(found) == len(kubefed.KINDS) and all(map(ready, found))

    until(there, "every federated object is Ready")


def test_kubefed_is_taken_over_and_no_members_object_is_recreated(
    old: Site, controller: Controller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = kubefed.held(old)
    silent = old.changed("m2", cluster={"server": "https://127.0.0.1:1"})
    partly = old.run("migrate", "--stop", "--upgrade", code=3, kubeconfig=silent)
    assert "m1: 6 managed objects noted" in partly.err
    assert "warning: m2: its objects cannot be compared later: " in partly.err
    assert "customresourcedefinition" not in partly.err, "what comes after waits"
    ran = old.run("migrate", "--stop")
    assert "m2: 6 managed objects noted" in ran.err
    assert "m1: 6" not in ran.err
    ran = old.run("migrate", "--upgrade")
    assert "customresourcedefinition kubefedclusters.core.kubefed.io configured" in ran.err
    config = old.get("host", old.kubefed("kubefedconfigs", "kubefed"))
    assert config is not None
    assert config["spec"]["clusterHealthCheck"]["period"] == "7s", "settings stay"
    crd = old.get("host", f"{CRDS}/federateddeployments.types.kubefed.io")
    assert crd is not None
    template = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["template"]
    assert "x-kubernetes-preserve-unknown-fields" not in template, "KubeFed's schema is replaced, not merged"
    shown = old.run("migrate", code=1).out
    assert "done     --upgrade" in shown
    assert "next: start the controller" in shown

    # KubeFed's own status still fits, should somebody go back.
    old.merge(
        "host", f"{TYPES}/namespaces/{SPACE}/federatedconfigmaps/web/status", {"status": {"observedGeneration": 1}}
    )

    log_in(old, tmp_path / "controller.kubeconfig")
    controller.start()
    all_ready(old)
    after = kubefed.held(old)
    assert {key: each["metadata"]["uid"] for key, each in after.items()} == {
        key: each["metadata"]["uid"] for key, each in before.items()
    }
    for key, each in after.items():
        assert kubefed.without_server_fields(each) == kubefed.without_server_fields(before[key]), key
        managers = {entry["manager"] for entry in each["metadata"]["managedFields"] if not entry.get("subresource")}
        assert any(marks.is_hubs(name) for name in managers), (key, managers)
        assert kubefed.MANAGERS[key[0]] not in managers, "KubeFed owns nothing any more"
    proof = json.loads(old.run("migrate", "--verify", "-o", "json").out)
    for each in proof["clusters"]:
        counts = {
            name: each[name] for name in ("before", "now", "same", "changed", "recreated", "gone", "new", "takenOver")
        }
        assert counts == dict.fromkeys(("before", "now", "same", "takenOver"), 6) | dict.fromkeys(
            ("changed", "recreated", "gone", "new"), 0
        )
    assert "as a controller of this project does" in old.run("migrate", "--undo", code=1).err

    ran = old.run("migrate", "--remove-versions")
    assert f"5 PropagatedVersion deleted in namespace {SPACE}" in ran.err
    assert "1 ClusterPropagatedVersion deleted" in ran.err
    versions = old.get("host", f"{kubefed.ALPHA}/propagatedversions")
    assert versions is not None, "KubeFed could not run without the CRD"
    assert not versions["items"]

    held = {member: old.token(member) for member in MEMBERS}
    extra = {
        "metadata": {"name": "another"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "m1-host", "namespace": old.namespace}],
    }
    monkeypatch.setattr(narrowing, "_LEARNED", 1.0)
    old.create("m1", f"{RBAC}/clusterrolebindings", extra)
    partly = old.run("migrate", "--narrow", code=3, kubeconfig=old.without("m2"))
    assert "m1: not narrowed: serviceaccount kube-federation-system/m1-host has a new token and may do" in partly.err
    old.delete("m1", f"{RBAC}/clusterrolebindings/another")
    partly = old.run("migrate", "--narrow", code=3, kubeconfig=old.without("m2"))
    assert "warning: m2: not narrowed: no context of your kubeconfig reaches it" in partly.err
    assert (old.token("m1") == held["m1"], old.token("m2") == held["m2"]) == (False, True)
    ran = old.run("migrate", "--narrow")
    assert "m1:" not in ran.err, "it is done already"
    for member in MEMBERS:
        token = old.token(member)
        assert token != held[member]
        assert jwt.lifetime(jwt.claims(token)) is not None
        assert token not in ran.err + ran.out
        assert not old.may(member, token, "delete", "nodes")
        assert old.may(member, token, "patch", "apps/deployments")
        assert old.get(member, old.in_system("secrets", f"{member}-host")) is not None, "kept for --undo"
    assert set(kubefed.record(old)["narrowed"]) == set(MEMBERS)
    everything_said = json.dumps(old.get("host", old.in_system("configmaps")))
    assert not any(token in everything_said for token in held.values())

    # Back: with the controller stopped, KubeFed has its replicas, its webhooks, its rights and its tokens.
    assert controller.stop() == 0
    ran = old.run("migrate", "--undo")
    assert {member: old.token(member) for member in MEMBERS} == held
    for member in MEMBERS:
        assert old.may(member, held[member], "delete", "nodes")
    assert state(old)["kubefed-controller-manager"] == 2
    assert kubefed.record(old) == {}

    # And forward for good. What Helm remembers has to go first.
    old.run("migrate", "--stop", "--upgrade")
    controller.start()
    all_ready(old)
    facts = asyncio.run(look(old))
    only = replace(facts, clusters=tuple(each for each in facts.clusters if each.name == "m1"))
    assert killed_after(monkeypatch, lambda number: number, lambda: narrow(old, only)) >= 10
    recorded = kubefed.record(old)["narrowed"]["m1"]
    assert (recorded["secret"], recorded["rules"][0]["verbs"]) == ("m1-host", ["*"]), (
        "as it was before the first of them"
    )
    secrets = old.get("m1", old.in_system("secrets")) or {"items": []}
    kinds = [each["type"] for each in secrets["items"] if each["metadata"]["name"].startswith("m1-host")]
    assert sorted(kinds) == ["kubefed.io/token-binding", "kubernetes.io/service-account-token"], "nothing is left over"
    assert accepted(old, "m1", old.token("m1"))
    old.run("migrate", "--narrow")
    refused = old.run("migrate", "--finish", code=1)
    assert f"delete secret -l owner=helm,name={kubefed.RELEASE}" in refused.err
    old.delete("host", old.in_system("secrets", f"sh.helm.release.v1.{kubefed.RELEASE}.v1"))
    ran = old.run("migrate", "--verify", "--finish")
    assert "the token without end is revoked" in ran.err
    for member in MEMBERS:
        assert old.get(member, old.in_system("secrets", f"{member}-host")) is None
        until(lambda member=member: not accepted(old, member, held[member]), "the token without end is refused")  # type: ignore[misc]
    assert old.get("host", kubefed.deployments(old, "kubefed-controller-manager")) is None
    assert old.get("host", f"{RBAC}/clusterroles/kubefed-role") is None
    until(lambda: old.get("host", f"{CRDS}/federatedservicestatuses.core.kubefed.io") is None, "the CRD is gone")
    served = [each["metadata"]["name"] for each in templates.kubefeds_crds()]
    kept = [old.get("host", f"{CRDS}/{name}") for name in served]
    assert len(kept) == 2
    assert all(each and "deletionTimestamp" not in each["metadata"] for each in kept), "init serves them"
    assert "customresourcedefinition" not in "".join(
        line for line in old.run("init").err.splitlines() if not line.endswith("unchanged")
    ), "what finish leaves is what init installs"
    assert kubefed.record(old) == {}
    assert old.get("host", old.in_system("serviceaccounts", "kubefed-controller")) is not None

    # The controller goes on with what is left: a change reaches both members, in the same objects.
    path = f"{TYPES}/namespaces/{SPACE}/federatedconfigmaps/web"
    old.merge("host", path, {"spec": {"template": {"data": {"colour": "blue"}}}})
    blue = {"colour": "blue"}
    until(lambda: all(kubefed.held(old)[each, "ConfigMap"]["data"] == blue for each in MEMBERS), "it is blue")
    now = kubefed.held(old)
    assert {key: each["metadata"]["uid"] for key, each in now.items()} == {
        key: each["metadata"]["uid"] for key, each in before.items()
    }
    assert "nothing must be done" in old.run("migrate").out
