"""`fedctl plan` on real API servers: what it says beforehand is what the controller then does."""

import asyncio
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from federation.joining.setup import NOTHING_HELD
from federation.model.failures import Failure
from federation.model.marks import (
    APPROVED_ANNOTATION,
    MANAGED_LABEL,
    PROTECTION_ANNOTATION,
    RECREATE_ANNOTATION,
    ROLLOUT_LABEL,
    SYSTEM_NAMESPACE,
)
from federation.model.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    KUBEFED_CLUSTERS,
    KUBEFED_CONFIGS,
    NAMESPACES,
    ROLLOUTS,
    SERVICE_ACCOUNTS,
    TYPE_CONFIGS,
    ObjectName,
)
from tests.clusters import kustomize
from tests.clusters.fedctl import Ran, fedctl
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    DEPLOYMENTS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_DEPLOYMENTS,
    FEDERATED_NAMESPACES,
    FEDERATED_SECRETS,
    FEDERATED_SERVICES,
    SERVICES,
    Api,
    eventually,
    federated,
    federated_namespace,
)
from tests.clusters.steps import Federated, configure, gone, holds, make

DATA = {"data": {"a": "b"}}
BOTH = ["m1", "m2"]
NUMBER = [{"clusterName": "m1", "clusterOverrides": [{"path": "/data/a", "value": 1}]}]
"""No value of a ConfigMap: the hub cannot know that, and m1 refuses it."""


class Planner:
    """Plans as a user does, with files of its own."""

    def __init__(self, fleet: Fleet, directory: Path) -> None:
        self._fleet = fleet
        self._directory = directory

    def file(self, *documents: Mapping[str, Any]) -> str:
        path = self._directory / f"{len(list(self._directory.iterdir()))}.json"
        path.write_bytes(b"\n---\n".join(orjson.dumps(each) for each in documents))
        return str(path)

    def kept(self, name: str) -> Path:
        """Where a plan is kept."""
        return self._directory / name

    async def run(self, verb: str, *arguments: str, kubeconfig: Path | None = None) -> Ran:
        at = ("--kubeconfig", str(kubeconfig or self._fleet.playground.kubeconfig), "--host-cluster-context", "host")
        ran = await asyncio.to_thread(fedctl, verb, *arguments, *at)
        assert "Traceback" not in ran.err
        return ran

    async def plan(
        self, *documents: Mapping[str, Any], options: tuple[str, ...] = (), code: int = 1, **how: Any
    ) -> dict[str, Any]:
        """The plan as JSON."""
        ran = await self.run("plan", "-f", self.file(*documents), "-o", "json", *options, **how)
        assert ran.code == code, ran
        return dict(json.loads(ran.out))


@pytest.fixture
def planner(fleet: Fleet, tmp_path: Path) -> Planner:
    return Planner(fleet, tmp_path)


def changes(plan: Mapping[str, Any], name: str, kind: str = "") -> list[dict[str, Any]]:
    """What a plan says of one object."""
    return [
        change
        for each in plan["objects"]
        if each["name"] == name and each["type"] == (kind or each["type"])
        for change in each["changes"]
    ]


def kinds(plan: Mapping[str, Any], name: str) -> dict[str, list[str]]:
    """Change to clusters."""
    return {each["change"]: each["clusters"] for each in changes(plan, name)}


def wrapped(namespace: str, name: str, template: Any, clusters: list[str] | None = None, **spec: Any) -> dict[str, Any]:
    return federated(FEDERATED_CONFIGMAPS, namespace, name, template, clusters=clusters or BOTH, **spec)


async def test_what_is_created_changed_adopted_and_deleted(
    planner: Planner, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    await federated_namespace(host, namespace, BOTH)
    await make(host, FEDERATED_CONFIGMAPS, namespace, "changed", DATA, clusters=BOTH)
    await make(host, FEDERATED_CONFIGMAPS, namespace, "leaving", DATA, clusters=BOTH)
    await make(host, FEDERATED_CONFIGMAPS, namespace, "same", DATA, clusters=BOTH)
    own = {"metadata": {"name": "fresh", "namespace": namespace}, "data": {"own": "x"}}
    await m2.create(CONFIGMAPS, own, namespace)
    documents = [
        wrapped(namespace, "fresh", DATA),
        wrapped(namespace, "changed", {"data": {"a": "c", "n": "1"}}),
        wrapped(namespace, "leaving", DATA, ["m1"]),
        wrapped(namespace, "same", DATA),
    ]
    at_hub = await host.items(FEDERATED_CONFIGMAPS, namespace)
    plan = await planner.plan(*documents)
    assert kinds(plan, "fresh") == {"create": ["m1"], "adopt": ["m2"]}
    assert changes(plan, "fresh")[1]["fields"] == [{"path": ".data.a", "before": None, "after": '"b"'}]
    (changed,) = changes(plan, "changed")
    assert changed["clusters"] == BOTH
    assert changed["fields"] == [
        {"path": ".data.a", "before": '"b"', "after": '"c"'},
        {"path": ".data.n", "before": None, "after": '"1"'},
    ]
    (leaving,) = changes(plan, "leaving")
    assert (leaving["change"], leaving["clusters"]) == ("delete", ["m2"])
    assert "spec.placement.clusters of generation 2 does not select the cluster" in leaving["because"]
    assert kinds(plan, "same") == {}
    assert plan["summary"] == {"create": 1, "change": 2, "adopt": 1, "delete": 1}
    assert [each["change"] for each in plan["hub"]] == ["create", "change", "change", "none"]

    assert await host.items(FEDERATED_CONFIGMAPS, namespace) == at_hub
    assert await m1.get(CONFIGMAPS, namespace, "fresh") is None
    assert await m2.get(CONFIGMAPS, namespace, "leaving") is not None

    for document in documents:
        await host.apply(FEDERATED_CONFIGMAPS, document)
    await holds(m1, CONFIGMAPS, namespace, "fresh")
    await holds(m2, CONFIGMAPS, namespace, "fresh", lambda each: each["data"] == {"own": "x", "a": "b"})
    await holds(m2, CONFIGMAPS, namespace, "changed", lambda each: each["data"] == {"a": "c", "n": "1"})
    await gone(m2, CONFIGMAPS, namespace, "leaving")
    for name in ("fresh", "changed", "leaving", "same"):
        await Federated(host, FEDERATED_CONFIGMAPS, namespace, name).settled()
    assert (await planner.plan(*documents, code=0))["changes"] is False


def deployment(namespace: str, name: str, *, labels: str = "a", **spec: Any) -> dict[str, Any]:
    pod = {"metadata": {"labels": {"app": labels}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    template = {"spec": {"replicas": 1, "selector": {"matchLabels": {"app": labels}}, "template": pod, **spec}}
    return federated(FEDERATED_DEPLOYMENTS, namespace, name, template, clusters=["m1"])


async def test_what_defaults_leave_behind_is_foreseen(planner: Planner, host: Api, m1: Api, namespace: str) -> None:
    """A push takes what would be in its way into its ownership first; a dry run of the apply alone would be refused."""
    await federated_namespace(host, namespace, BOTH)
    await host.apply(FEDERATED_DEPLOYMENTS, deployment(namespace, "web"))
    service = federated(
        FEDERATED_SERVICES,
        namespace,
        "web",
        {"spec": {"type": "NodePort", "selector": {"app": "a"}, "ports": [{"port": 80}]}},
        clusters=["m1"],
    )
    await host.apply(FEDERATED_SERVICES, service)
    for resource in (FEDERATED_DEPLOYMENTS, FEDERATED_SERVICES):
        await Federated(host, resource, namespace, "web").settled()
    wanted = deployment(namespace, "web", strategy={"type": "Recreate"})
    service["spec"]["template"]["spec"]["type"] = "ClusterIP"
    plan = await planner.plan(wanted, service)
    (change,) = changes(plan, "web", "deployments.apps")
    assert change["change"] == "change", change
    assert {"path": ".spec.strategy.type", "before": '"RollingUpdate"', "after": '"Recreate"'} in change["fields"]
    assert {each["path"] for each in change["fields"]} == {".spec.strategy.type", ".spec.strategy.rollingUpdate"}
    (change,) = changes(plan, "web", "services")
    assert change["change"] == "change", change
    assert {"path": ".spec.type", "before": '"NodePort"', "after": '"ClusterIP"'} in change["fields"]
    foreseen = {each["path"]: each["after"] for each in change["fields"]}
    assert foreseen[".spec.ports[0].nodePort"] is None, change
    await host.apply(FEDERATED_DEPLOYMENTS, wanted)
    await host.apply(FEDERATED_SERVICES, service)
    done = await holds(m1, SERVICES, namespace, "web", lambda each: each["spec"]["type"] == "ClusterIP")
    assert "nodePort" not in done["spec"]["ports"][0]
    await holds(m1, DEPLOYMENTS, namespace, "web", lambda each: "rollingUpdate" not in each["spec"]["strategy"])


async def test_a_refusal_is_told_in_the_members_own_words(planner: Planner, host: Api, namespace: str) -> None:
    await federated_namespace(host, namespace, BOTH)
    await host.apply(FEDERATED_DEPLOYMENTS, deployment(namespace, "web"))
    await Federated(host, FEDERATED_DEPLOYMENTS, namespace, "web").settled()
    wanted = deployment(namespace, "web", labels="b")
    (change,) = changes(await planner.plan(wanted, code=3), "web")
    assert (change["change"], change["clusters"]) == ("refuse", ["m1"])
    assert "field is immutable" in change["message"]
    wanted["metadata"]["annotations"] = {RECREATE_ANNOTATION: "true"}
    (change,) = changes(await planner.plan(wanted), "web")
    assert change["change"] == "recreate"
    assert "field is immutable" in change["message"]
    plan = await planner.plan(wrapped(namespace, "wrong", DATA, overrides=NUMBER), code=3)
    assert kinds(plan, "wrong") == {"create": ["m2"], "refuse": ["m1"]}
    ran = await planner.run("plan", "-f", planner.file(wrapped(namespace, "wrong", {"data": {"a": 1}})))
    assert ran.code == 2, "the hub's own refusal: there is no plan"
    assert ".spec.template.data.a: expected string" in ran.err


async def test_members_that_do_not_answer_are_unknown(
    planner: Planner, fleet: Fleet, host: Api, namespace: str, tmp_path: Path
) -> None:
    await federated_namespace(host, namespace, BOTH)
    await make(host, FEDERATED_CONFIGMAPS, namespace, "web", DATA, clusters=BOTH)
    kubeconfig = yaml.safe_load(fleet.playground.kubeconfig.read_text())
    with socket.socket() as silent:  # accepts, and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for each in kubeconfig["clusters"]:
            if each["name"] == "m2":
                each["cluster"]["server"] = f"https://127.0.0.1:{silent.getsockname()[1]}"
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(kubeconfig))
        wanted = wrapped(namespace, "web", {"data": {"a": "c"}})
        plan = await planner.plan(wanted, options=("--timeout", "1s"), kubeconfig=path)
        assert kinds(plan, "web") == {"change": ["m1"], "unknown": ["m2"]}
        assert changes(plan, "web")[1]["expected"] == "change"
        assert plan["unknown"] == {"m2": "does not answer within 1 s"}
        same = await planner.plan(wrapped(namespace, "web", DATA), options=("--timeout", "1s"), kubeconfig=path, code=0)
        assert list(same["unknown"]) == ["m2"], "what is as it should be there is no change, as far as the hub knows"


async def test_namespaces_move_what_is_in_them(planner: Planner, host: Api, m1: Api, m2: Api, namespace: str) -> None:
    space = federated(FEDERATED_NAMESPACES, namespace, namespace, None, clusters=BOTH)
    new = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    plan = await planner.plan(new, space, wrapped(namespace, "web", DATA))
    assert kinds(plan, namespace) == {"create": BOTH}
    (change,) = changes(plan, "web")
    assert (change["change"], change["clusters"]) == ("create", BOTH)
    assert "quota and policies of it are not checked" in change["message"]
    assert await host.get(NAMESPACES, "", namespace) is None
    plan = await planner.plan(new, space, wrapped(namespace, "bad", DATA, overrides=NUMBER), code=3)
    assert kinds(plan, "bad") == {"create": ["m2"], "refuse": ["m1"]}

    await host.apply(NAMESPACES, new)
    await host.apply(FEDERATED_NAMESPACES, space)
    await make(host, FEDERATED_CONFIGMAPS, namespace, "web", DATA, clusters=BOTH)
    space["spec"]["placement"] = {"clusters": [{"name": "m1"}]}
    plan = await planner.plan(space)
    assert kinds(plan, namespace) == {"delete": ["m2"]}
    (change,) = changes(plan, "web")
    assert (change["change"], change["clusters"]) == ("delete", ["m2"])
    assert "does not select the cluster" in change["because"]
    plan = await planner.plan(space, options=("--delete",))
    assert kinds(plan, namespace) == {"delete": BOTH}
    assert kinds(plan, "web") == {"delete": BOTH}
    plan = await planner.plan(new, options=("--delete",))
    assert kinds(plan, "web") == {"delete": BOTH}
    for api in (m1, m2):
        assert await api.get(CONFIGMAPS, namespace, "web") is not None


async def test_a_clusters_labels_move_what_they_select(planner: Planner, host: Api, m1: Api, namespace: str) -> None:
    await federated_namespace(host, namespace, BOTH)
    stored = await host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m1")
    assert stored is not None
    label = f"plan-{namespace[-6:]}"
    web = wrapped(namespace, "web", DATA)
    web["spec"]["placement"] = {"clusterSelector": {"matchLabels": {label: "on"}}}
    await host.apply(FEDERATED_CONFIGMAPS, web)
    cluster: dict[str, Any] = {"apiVersion": KUBEFED_CLUSTERS.api_version, "kind": "KubeFedCluster"}
    cluster["spec"] = stored["spec"]
    cluster["metadata"] = {"name": "m1", "namespace": SYSTEM_NAMESPACE, "labels": {label: "on"}}
    plan = await planner.plan(cluster)
    assert [(each["name"], each["changes"][0]["change"]) for each in plan["objects"]] == [("web", "create")]
    await host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m1", {"metadata": {"labels": {label: "on"}}})
    await holds(m1, CONFIGMAPS, namespace, "web")
    await Federated(host, FEDERATED_CONFIGMAPS, namespace, "web").settled()
    cluster["metadata"]["labels"] = {label: "off"}
    plan = await planner.plan(cluster)
    (change,) = changes(plan, "web")
    assert (change["change"], change["clusters"]) == ("delete", ["m1"])
    assert "labels of KubeFedCluster 'm1' do not match" in change["because"]
    await host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m1", {"metadata": {"labels": {label: None}}})
    await gone(m1, CONFIGMAPS, namespace, "web")


async def test_a_type_that_is_disabled_leaves_everything(planner: Planner, host: Api, namespace: str) -> None:
    await federated_namespace(host, namespace, BOTH)
    await make(host, FEDERATED_CONFIGMAPS, namespace, "web", DATA, clusters=BOTH)
    stored = await host.get(TYPE_CONFIGS, SYSTEM_NAMESPACE, "configmaps")
    assert stored is not None
    config: dict[str, Any] = {"apiVersion": TYPE_CONFIGS.api_version, "kind": "FederatedTypeConfig"}
    config["metadata"] = {"name": "configmaps", "namespace": SYSTEM_NAMESPACE}
    config["spec"] = {**stored["spec"], "propagation": "Disabled"}
    plan = await planner.plan(config)
    assert plan["objects"] == []
    assert "what the members have stays there" in plan["hub"][0]["notes"][0]


async def test_where_a_gate_keeps_types_from_being_followed_it_is_named(
    planner: Planner, host: Api, namespace: str
) -> None:
    """By plan, explain and diff; and no value of a Secret is shown then, either."""
    await federated_namespace(host, namespace, BOTH)
    await make(host, FEDERATED_CONFIGMAPS, namespace, "web", DATA, clusters=BOTH)
    gates = [{"name": "PushReconciler", "configuration": "Disabled"}]
    config: dict[str, Any] = {"apiVersion": KUBEFED_CONFIGS.api_version, "kind": "KubeFedConfig"}
    config["metadata"] = {"name": "kubefed", "namespace": SYSTEM_NAMESPACE}
    config["spec"] = {"featureGates": gates}
    switched = await planner.plan(config)
    assert switched["objects"] == []
    assert "feature gate PushReconciler" in switched["hub"][0]["notes"][0]
    await configure(host, {"featureGates": gates})
    try:
        secret = federated(FEDERATED_SECRETS, namespace, "key", {"stringData": {"a": "canary"}}, clusters=BOTH)
        plan = await planner.plan(wrapped(namespace, "web", {"data": {"a": "c"}}), secret)
        assert plan["objects"] == []
        for each in plan["hub"]:
            assert "is not followed: feature gate PushReconciler of the KubeFedConfig is Disabled" in each["notes"][0]
        assert "canary" not in json.dumps(plan)
        for verb in ("explain", "diff"):
            ran = await planner.run(verb, "federatedconfigmap", "web", "-n", namespace)
            assert "type configmaps is not followed: feature gate PushReconciler" in ran.err
        ran = await planner.run("diff", "-f", planner.file(wrapped(namespace, "web", {"data": {"a": "c"}})))
        assert "note: type configmaps is not followed: feature gate PushReconciler" in ran.err
    finally:
        await configure(host, {"featureGates": None})


def content(path: str) -> tuple[str, int]:
    """A file's text, and its mode."""
    return Path(path).read_text(), Path(path).stat().st_mode


def overwrite(path: str, document: Mapping[str, Any]) -> None:
    Path(path).write_bytes(orjson.dumps(document))


async def test_a_kept_plan_is_applied_unless_something_has_moved(
    planner: Planner, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    await federated_namespace(host, namespace, BOTH)
    await make(host, FEDERATED_CONFIGMAPS, namespace, "web", DATA, clusters=BOTH)
    password = "aHVudGVyMg=="
    secret = federated(
        FEDERATED_SECRETS, namespace, "db", {"data": {"password": password}, "type": "Opaque"}, clusters=BOTH
    )
    kept, source = str(planner.kept("kept.plan")), planner.file(wrapped(namespace, "web", {"data": {"a": "c"}}), secret)
    ran = await planner.run("plan", "-f", source, "--out", kept)
    assert ran.code == 1, ran
    assert "~ change in m1, m2" in ran.out
    assert '.data.a "b" -> "c"' in ran.out
    text, mode = content(kept)
    assert password not in ran.out + ran.err + text
    assert mode & 0o077 == 0

    await m2.patch(CONFIGMAPS, namespace, "web", {"data": {"own": "x"}})
    ran = await planner.run("apply", "--plan", kept)
    assert ran.code == 1
    assert f"m2: configmaps {namespace}/web has changed" in ran.err
    assert (await m1.get(CONFIGMAPS, namespace, "web") or {})["data"] == {"a": "b"}

    assert (await planner.run("plan", "-f", source, "--out", kept)).code == 1
    await host.patch(FEDERATED_CONFIGMAPS, namespace, "web", {"spec": {"template": {"data": {"z": "1"}}}})
    await holds(m1, CONFIGMAPS, namespace, "web", lambda each: "z" in each["data"])
    await holds(m2, CONFIGMAPS, namespace, "web", lambda each: "z" in each["data"])
    ran = await planner.run("apply", "--plan", kept)
    assert ran.code == 1
    assert f"hub: federatedconfigmap {namespace}/web has changed" in ran.err
    await Federated(host, FEDERATED_CONFIGMAPS, namespace, "web").settled()

    assert (await planner.run("plan", "-f", source, "--out", kept)).code == 1
    ran = await planner.run("apply", "--plan", kept)
    assert ran.code == 0, ran
    await holds(m1, CONFIGMAPS, namespace, "web", lambda each: each["data"]["a"] == "c")
    await Federated(host, FEDERATED_SECRETS, namespace, "db").settled()
    ran = await planner.run("plan", "-f", source)
    assert (ran.code, ran.out) == (0, "no changes\n")

    secret["spec"]["template"]["data"]["password"] = "bmV3"
    kept = str(planner.kept("next.plan"))
    source = planner.file(secret)
    ran = await planner.run("plan", "-f", source, "--out", kept)
    assert ".data.password" in ran.out
    overwrite(source, {**secret, "spec": {**secret["spec"], "overrides": []}})
    ran = await planner.run("apply", "--plan", kept)
    assert ran.code == 2
    assert "is another document than the one that was planned" in ran.err


async def test_what_kubectl_applied_is_planned_as_kubectl_would(planner: Planner, host: Api, namespace: str) -> None:
    """Without --server-side kubectl takes away what its last document had; server-side apply by another would not."""
    await federated_namespace(host, namespace, BOTH)
    document = wrapped(namespace, "web", {"data": {"a": "b", "old": "x"}})
    note = {"kubectl.kubernetes.io/last-applied-configuration": orjson.dumps(document).decode() + "\n"}
    body = {**document, "metadata": {**document["metadata"], "annotations": note}}
    await host.create(FEDERATED_CONFIGMAPS, body, namespace)
    await Federated(host, FEDERATED_CONFIGMAPS, namespace, "web").settled()
    (change,) = changes(await planner.plan(wrapped(namespace, "web", DATA)), "web")
    assert change["fields"] == [{"path": ".data.old", "before": '"x"', "after": None}]


async def limited(api: Api, namespace: str) -> str:
    """The token of somebody who may look, and nothing else."""
    name = f"reader-{namespace}"
    await api.create(SERVICE_ACCOUNTS, {"metadata": {"name": name, "namespace": "default"}}, "default")
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]
    await api.create(CLUSTER_ROLES, {"metadata": {"name": name}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": "default"}
    role = {"apiGroup": CLUSTER_ROLES.group, "kind": "ClusterRole", "name": name}
    await api.create(CLUSTER_ROLE_BINDINGS, {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]})
    path = f"{SERVICE_ACCOUNTS.path(ObjectName('default', name))}/token"
    answer = await api.connection.request("POST", path, body=orjson.dumps({"spec": {}}))
    assert not isinstance(answer, Failure)
    return str(answer.json()["status"]["token"])


async def test_who_may_only_look_is_told_what_is_expected(
    planner: Planner, fleet: Fleet, host: Api, m2: Api, namespace: str
) -> None:
    """At the hub and in a member: nothing is taken for a refusal that the controller would not get."""
    await federated_namespace(host, namespace, BOTH)
    await make(host, FEDERATED_CONFIGMAPS, namespace, "web", DATA, clusters=BOTH)
    tokens = {"host": await limited(host, namespace), "m2": await limited(m2, namespace)}
    kubeconfig = yaml.safe_load(fleet.playground.kubeconfig.read_text())
    for user in kubeconfig["users"]:
        if user["name"] in tokens:
            user["user"] = {"token": tokens[user["name"]]}
    path = Path(planner.file(kubeconfig))
    wanted = wrapped(namespace, "web", {"data": {"a": "c"}})
    plan = await planner.plan(wanted, kubeconfig=path)
    assert "your rights do not allow a dry run" in plan["hub"][0]["notes"][0]
    assert kinds(plan, "web") == {"change": ["m1"], "unknown": ["m2"]}
    unknown = changes(plan, "web")[1]
    assert unknown["expected"] == "change"
    assert "cannot patch resource" in unknown["message"]
    plan = await planner.plan(wanted, options=("--stored-credentials",), kubeconfig=path)
    assert kinds(plan, "web") == {"change": BOTH}, "who may read the stored credentials asks as the controller"


async def test_what_kubefed_wrote_is_planned_as_a_whole(planner: Planner, host: Api, m1: Api, namespace: str) -> None:
    """Its fields become ours by one write, and what the template does not have goes by the next."""
    await federated_namespace(host, namespace, BOTH)
    await holds(m1, NAMESPACES, "", namespace)
    meta = {"name": "web", "namespace": namespace, "labels": {MANAGED_LABEL: "true"}}
    old = {"metadata": meta, "data": {"a": "old", "gone": "x"}}
    await m1.create(CONFIGMAPS, old, namespace)
    document = wrapped(namespace, "web", DATA, ["m1"])
    (change,) = changes(await planner.plan(document), "web")
    assert change["change"] in {"change", "adopt"}
    assert change["fields"] == [
        {"path": ".data.a", "before": '"old"', "after": '"b"'},
        {"path": ".data.gone", "before": '"x"', "after": None},
    ]
    await host.apply(FEDERATED_CONFIGMAPS, document)
    await holds(m1, CONFIGMAPS, namespace, "web", lambda each: each["data"] == {"a": "b"})


async def test_a_deletion_is_planned_and_not_done(
    planner: Planner, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    await federated_namespace(host, namespace, BOTH)
    await make(host, FEDERATED_CONFIGMAPS, namespace, "web", DATA, clusters=BOTH)
    plan = await planner.plan(wrapped(namespace, "web", DATA), options=("--delete",))
    assert kinds(plan, "web") == {"delete": BOTH}
    assert plan["hub"][0]["change"] == "delete"
    for api, resource in ((m1, CONFIGMAPS), (m2, CONFIGMAPS), (host, FEDERATED_CONFIGMAPS)):
        found = await api.get(resource, namespace, "web")
        assert found is not None
        assert "deletionTimestamp" not in found["metadata"]
    kept = str(planner.kept("delete.plan"))
    source = planner.file(wrapped(namespace, "web", DATA))
    assert (await planner.run("plan", "-f", source, "--delete", "--out", kept)).code == 1
    assert (await planner.run("apply", "--plan", kept)).code == 0
    await gone(m1, CONFIGMAPS, namespace, "web")
    await gone(m2, CONFIGMAPS, namespace, "web")
    assert (await planner.plan(wrapped(namespace, "web", DATA), options=("--delete",), code=0))["changes"] is False


async def test_a_whole_repository_with_types_and_clusters_that_are_new(planner: Planner) -> None:
    """Custom types, their objects and the clusters that they are for, in one change: what cannot be asked is said."""
    repository = Path(__file__).parents[2] / "e2e" / "gitops"
    files = [word for each in ("crds", "types", "clusters", "apps/shop") for word in ("-f", str(repository / each))]
    ran = await planner.run("plan", *files, "-o", "json", "--timeout", "2s")
    assert ran.code in (1, 3), ran
    plan = json.loads(ran.out)
    assert plan["problems"] == []
    new = {each["name"]: each for each in plan["hub"] if each["change"] == "create"}
    assert {"paris", "berlin", "tokyo", "websites.demo.example.com"} <= new.keys()
    assert {"paris", "berlin", "tokyo"} <= plan["unknown"].keys()
    websites = [each for each in plan["hub"] if each["kind"] == "FederatedWebsite"]
    assert websites
    assert all("its type does not exist there yet" in each["notes"][0] for each in websites)
    expected = [each for each in plan["objects"] if each["type"] == "websites.demo.example.com"]
    assert expected
    found = {(change["change"], change.get("expected")) for each in expected for change in each["changes"]}
    assert found == {("unknown", "create"), ("wait", None)}, "clusters that are away, and those without the type"
    assert not [each for each in plan["hub"] if each["kind"] == "Kustomization"]


async def test_deletions_that_would_be_held_are_said_to_be(
    planner: Planner, host: Api, m1: Api, namespace: str
) -> None:
    await federated_namespace(host, namespace, BOTH)
    await make(host, FEDERATED_CONFIGMAPS, namespace, "web", DATA, clusters=BOTH)
    await m1.create(CONFIGMAPS, {"metadata": {"name": "own", "namespace": namespace}, "data": {"a": "x"}}, namespace)
    space = federated(FEDERATED_NAMESPACES, namespace, namespace, None, clusters=["m2"])
    plan = await planner.plan(space)
    assert not [change for change in changes(plan, namespace) if "held" in change], "no budget is in force"
    await configure(host, {"deletionBudget": {"enforcement": "Enabled"}})
    try:
        plan = await planner.plan(space)
        (change,) = changes(plan, namespace)
        assert (change["change"], change["clusters"]) == ("delete", ["m1"])
        assert f"namespace '{namespace}' in m1 has ConfigMap \"own\" in it" in change["held"]
        web = wrapped(namespace, "web", DATA, ["m1"])
        web["metadata"]["annotations"] = {PROTECTION_ANNOTATION: "true"}
        (change,) = changes(await planner.plan(web), "web")
        assert (change["change"], change["clusters"]) == ("wait", ["m2"])
        assert "protected" in change["message"]
    finally:
        await configure(host, NOTHING_HELD)
    assert await m1.get(CONFIGMAPS, namespace, "web") is not None


async def test_what_is_deleted_in_young_namespaces_is_not_said_to_be_held(
    planner: Planner, host: Api, namespace: str
) -> None:
    """It is counted for each of them: three of each are few, where six of an older one would wait for a person."""
    other = f"{namespace}-2"
    await host.create(NAMESPACES, {"metadata": {"name": other}})
    documents = []
    for place in (namespace, other):
        await federated_namespace(host, place, BOTH)
        for number in range(3):
            await make(host, FEDERATED_CONFIGMAPS, place, f"c{number}", DATA, clusters=BOTH)
            documents.append(wrapped(place, f"c{number}", DATA))
    await configure(host, {"deletionBudget": {"enforcement": "Enabled"}})
    try:
        plan = await planner.plan(*documents, options=("--delete",))
    finally:
        await configure(host, NOTHING_HELD)
        await host.delete(NAMESPACES, "", other)
    found = [change for number in range(3) for change in changes(plan, f"c{number}")]
    assert {change["change"] for change in found} == {"delete"}
    assert not [change for change in found if "held" in change]


async def state_of(host: Api, namespace: str, reason: str) -> None:
    """Until the FederatedRollout `safe` says so."""

    async def there() -> object:
        found = await host.get(ROLLOUTS, namespace, "safe") or {}
        return any(each["reason"] == reason for each in (found.get("status") or {}).get("conditions", []))

    await eventually(there, seen=f"rollout {reason}", within=30.0)


async def test_under_a_rollout_what_is_released_now_and_what_waits(
    planner: Planner, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    """The canary changes, and nobody else is said to change before a person has approved."""
    await federated_namespace(host, namespace, BOTH)
    rollout: dict[str, Any] = {
        "apiVersion": ROLLOUTS.api_version,
        "kind": ROLLOUTS.kind,
        "metadata": {"name": "safe", "namespace": namespace},
        "spec": {"stages": [{"name": "canary", "clusters": ["m1"], "gates": {"approval": True}}]},
    }
    first = wrapped(namespace, "web", DATA)
    await host.apply(FEDERATED_CONFIGMAPS, first)
    await Federated(host, FEDERATED_CONFIGMAPS, namespace, "web").settled()
    first["metadata"]["labels"] = {ROLLOUT_LABEL: "safe"}
    assert kinds(await planner.plan(rollout, first), "web") == {}, "what is spread already becomes the first revision"
    await host.create(ROLLOUTS, rollout, namespace)
    await host.apply(FEDERATED_CONFIGMAPS, first)
    await state_of(host, namespace, "Complete")

    second = wrapped(namespace, "web", {"data": {"a": "c"}})
    second["metadata"]["labels"] = {ROLLOUT_LABEL: "safe"}
    plan = await planner.plan(second)
    changed, waiting = changes(plan, "web")
    assert (changed["change"], changed["clusters"]) == ("change", ["m1"])
    assert (waiting["change"], waiting["clusters"], waiting["expected"]) == ("wait", ["m2"], "change")
    assert waiting["message"] == f"waits for stage rest of FederatedRollout {namespace}/safe"
    assert waiting["fields"] == changed["fields"] == [{"path": ".data.a", "before": '"b"', "after": '"c"'}]
    assert plan["summary"] == {"change": 1, "wait": 1}
    assert "stage canary of revision 2 is released: m1" in plan["hub"][0]["notes"][0]
    paused = {**rollout, "spec": {**rollout["spec"], "paused": True}}
    plan = await planner.plan(second, paused)
    assert kinds(plan, "web") == {"wait": BOTH}
    assert "is paused" in changes(plan, "web")[0]["message"]

    kept = str(planner.kept("staged.plan"))
    assert (await planner.run("plan", "-f", planner.file(second), "--out", kept)).code == 1
    assert (await planner.run("apply", "--plan", kept)).code == 0
    await holds(m1, CONFIGMAPS, namespace, "web", lambda each: each["data"] == {"a": "c"})
    await state_of(host, namespace, "WaitingForApproval")
    found = await m2.get(CONFIGMAPS, namespace, "web")
    assert found is not None
    assert found["data"] == {"a": "b"}
    plan = await planner.plan(second, code=0)
    (waiting,) = changes(plan, "web")
    assert (waiting["change"], waiting["clusters"], waiting["pending"]) == ("wait", ["m2"], True)
    assert kinds(await planner.plan(first), "web") == {"change": ["m1"]}, "a revert goes everywhere at once"

    approved = {**rollout, "metadata": {**rollout["metadata"], "annotations": {APPROVED_ANNOTATION: "2/canary"}}}
    plan = await planner.plan(approved)
    assert kinds(plan, "web") == {"change": ["m2"]}
    await host.patch(ROLLOUTS, namespace, "safe", {"metadata": {"annotations": {APPROVED_ANNOTATION: "2/canary"}}})
    await holds(m2, CONFIGMAPS, namespace, "web", lambda each: each["data"] == {"a": "c"})
    await state_of(host, namespace, "Complete")
    assert (await planner.plan(second, code=0))["objects"] == []


async def test_a_kustomization_is_planned_as_it_is_built(
    planner: Planner, host: Api, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the real kustomize; what it prefixes and patches is what the members are asked for."""
    monkeypatch.setenv("PATH", str(kustomize.find().parent))
    await federated_namespace(host, namespace, BOTH)
    base, overlay = tmp_path / "base", tmp_path / "overlay"
    for folder in (base, overlay):
        folder.mkdir()
    (base / "web.json").write_bytes(orjson.dumps(wrapped(namespace, "web", DATA)))
    (base / "kustomization.yaml").write_text("resources: [web.json]\n")
    patch = '[{"op": "replace", "path": "/spec/template/data/a", "value": "built"}]'
    (overlay / "kustomization.yaml").write_text(
        f"resources: [../base]\nnamePrefix: prod-\npatches:\n  - patch: '{patch}'\n    target: {{name: web}}\n"
    )
    kept = str(planner.kept("built.plan"))
    ran = await planner.run("plan", "-k", str(overlay), "-o", "json", "--out", kept)
    assert ran.code == 1, ran
    plan = json.loads(ran.out)
    assert kinds(plan, "prod-web") == {"create": BOTH}
    assert plan["hub"][0]["source"] == f"-k {overlay}:1"
    assert (await planner.run("apply", "--plan", kept)).code == 0
    found = await host.get(FEDERATED_CONFIGMAPS, namespace, "prod-web")
    assert found is not None
    assert found["spec"]["template"] == {"data": {"a": "built"}}
    (overlay / "kustomization.yaml").write_text("resources: [../nowhere]\n")
    ran = await planner.run("plan", "-k", str(overlay))
    assert ran.code == 2
    assert "nowhere" in ran.err
