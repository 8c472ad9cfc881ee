"""Seeing into members on real API servers: explain, diff, events, logs, get -w and wait, as a user runs them."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from click.shell_completion import ShellComplete

from federation.cli import root
from federation.kube.connection import MERGE_PATCH, expect
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    EVENTS,
    KUBEFED_CLUSTERS,
    NODES,
    PODS,
    ROLE_BINDINGS,
    ROLES,
    ROLLOUTS,
    SERVICE_ACCOUNTS,
    ObjectName,
)
from tests.clusters.fedctl import Ran, fedctl
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    DEPLOYMENTS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_DEPLOYMENTS,
    FEDERATED_SECRETS,
    Api,
    eventually,
    federated_namespace,
)
from tests.clusters.kubelet import Kubelet
from tests.clusters.rolling import APPROVED, begin, reaches, staged
from tests.clusters.steps import Unlike, holds, make

BOTH = ["m1", "m2"]
TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "app", "image": "web:1"}, {"name": "proxy", "image": "proxy:1"}]},
        },
    },
}
REPLICAS = [{"clusterName": "m2", "clusterOverrides": [{"path": "/spec/replicas", "value": 2}]}]


class User:
    """Runs fedctl with a kubeconfig that leads to hub and members."""

    def __init__(self, fleet: Fleet, namespace: str) -> None:
        self.kubeconfig = fleet.playground.kubeconfig
        self.namespace = namespace

    def words(self, verb: str, *arguments: str, kubeconfig: Path | None = None) -> list[str]:
        at = ("--kubeconfig", str(kubeconfig or self.kubeconfig), "--host-cluster-context", "host")
        space = () if verb == "get clusters" or "clusters" in arguments else ("-n", self.namespace)
        return [*verb.split(), *arguments, *space, *at]

    async def run(self, verb: str, *arguments: str, code: int = 0, kubeconfig: Path | None = None) -> Ran:
        """To its end; fails on another exit code or a traceback."""
        ran = await asyncio.to_thread(fedctl, *self.words(verb, *arguments, kubeconfig=kubeconfig))
        assert "Traceback" not in ran.err, ran.err
        assert ran.code == code, f"exit code {ran.code}, expected {code}:\n{ran.err}\n{ran.out}"
        return ran

    @asynccontextmanager
    async def running(self, verb: str, *arguments: str) -> "AsyncIterator[Following]":
        """As a process that goes on until the end of the block, when it is interrupted."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "federation", *self.words(verb, *arguments)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        following = Following(process)
        try:
            yield following
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
            await asyncio.wait_for(following.end(), 20)


class Following:
    """A process whose lines are read as they come."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.lines: list[str] = []
        self.said: list[str] = []
        self.process = process
        self._tasks = [
            asyncio.create_task(self._read(process.stdout, self.lines)),
            asyncio.create_task(self._read(process.stderr, self.said)),
        ]

    async def _read(self, stream: asyncio.StreamReader | None, lines: list[str]) -> None:
        assert stream is not None
        async for line in stream:
            lines += [line.decode().rstrip("\n")]

    async def shows(self, *texts: str) -> None:
        """Wait for a line that has all of these texts."""

        async def seen() -> Any:
            there = any(all(text in line for text in texts) for line in self.lines)
            return there or Unlike(lines=self.lines, said=self.said)

        await eventually(seen, seen=str(texts))

    async def end(self) -> None:
        await asyncio.gather(*self._tasks)
        await self.process.wait()


@pytest.fixture
def user(fleet: Fleet, namespace: str) -> User:
    return User(fleet, namespace)


async def deployed(host: Api, namespace: str, **spec: Any) -> None:
    """A Deployment in both members, with one Pod in m1 and two in m2."""
    await federated_namespace(host, namespace, BOTH)
    await make(host, FEDERATED_DEPLOYMENTS, namespace, "web", TEMPLATE, clusters=BOTH, overrides=REPLICAS, **spec)


async def pods(api: Api, namespace: str, count: int) -> list[str]:
    """The names of the Pods that the ReplicaSet makes."""

    async def there() -> list[str]:
        found = sorted(each["metadata"]["name"] for each in await api.items(PODS, namespace))
        return found if len(found) == count else []

    return list(await eventually(there, seen=f"{count} Pods"))


def of(document: Mapping[str, Any], cluster: str) -> dict[str, Any]:
    """What an explanation says of one cluster."""
    return next(each for each in document["clusters"] if each["cluster"] == cluster)


# --- explain -------------------------------------------------------------------------------------------------------


async def test_explain_says_what_is_sent_by_which_override_and_what_is_kept_by_whom(
    user: User, host: Api, m1: Api, namespace: str
) -> None:
    await deployed(host, namespace, retainReplicas=True)
    await m1.apply(
        DEPLOYMENTS,
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {"replicas": 4},
        },
        manager="scaler",
    )
    found = json.loads((await user.run("explain", "deploy", "web", "-o", "json")).out)
    one, two = of(found, "m1"), of(found, "m2")
    assert one["selected"] is two["selected"] is True
    assert "spec.placement.clusters names it" in one["because"]
    assert "FederatedNamespace" in one["because"]
    assert "overrides" not in one
    assert two["overrides"] == [
        {
            "override": "spec.overrides[0].clusterOverrides[0]",
            "op": "replace",
            "path": "/spec/replicas",
            "before": "1",
            "after": "2",
        }
    ]
    assert two["manifest"]["spec"]["replicas"] == 2
    (kept,) = [each for each in one["different"] if each["path"] == ".spec.replicas"]
    assert (kept["sent"], kept["there"], kept["managers"]) == ("1", "4", ["scaler"])
    assert "retainReplicas" in kept["why"]
    assert one["now"]["change"] == "none"
    text = (await user.run("explain", "deployment/web")).out
    assert 'different there: .spec.replicas is 4, sent is 1; owned by "scaler"' in text
    assert "spec.overrides[0].clusterOverrides[0]: replace /spec/replicas: 1 -> 2" in text


async def test_explain_says_why_a_cluster_is_not_selected_and_what_waits_for_what(
    user: User, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    await federated_namespace(host, namespace, BOTH)
    made = await make(host, FEDERATED_CONFIGMAPS, namespace, "settings", {"data": {"a": "b"}}, clusters=["m1"])
    found = json.loads((await user.run("explain", "configmap", "settings", "-o", "json")).out)
    assert of(found, "m2") == {
        "cluster": "m2",
        "selected": False,
        "because": "spec.placement.clusters does not name it",
    }
    await host.patch(
        KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m1", {"metadata": {"annotations": {"kubefed.io/cordon": "disk work"}}}
    )
    try:
        await made.patch({"spec": {"template": {"data": {"a": "c"}}}})

        async def waits() -> Any:
            ran = await user.run("explain", "configmap", "settings", "-o", "json")
            one = of(json.loads(ran.out), "m1")
            return one if one.get("reported", {}).get("state") == "ClusterCordoned" else None

        one = await eventually(waits, within=30)
        assert one["cordoned"] == "disk work"
        (wait,) = one["waits"]
        assert "disk work" in wait["for"]
        assert "uncordon" in wait["again"]
        (kept,) = one["different"]
        assert (kept["path"], kept["sent"], kept["there"]) == (".data.a", '"c"', '"b"')
        assert (await user.run("diff", "configmap", "settings", code=1)).err.count("m1 is cordoned") == 1
    finally:
        await host.patch(
            KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m1", {"metadata": {"annotations": {"kubefed.io/cordon": None}}}
        )
    await made.settled()


async def test_explain_follows_a_staged_rollout_and_diff_shows_what_it_comes_to(
    user: User, host: Api, m1: Api, namespace: str
) -> None:
    await federated_namespace(host, namespace, BOTH)
    await begin(host, namespace, [{"name": "canary", "clusters": ["m1"]}])
    web = await staged(host, FEDERATED_CONFIGMAPS, namespace, {"data": {"a": "old"}}, clusters=BOTH)
    await web.settled()
    await reaches(host, namespace, "Complete", revision=1)
    await host.patch(ROLLOUTS, namespace, "safe", {"spec": {"stages": [APPROVED]}})
    await web.patch({"spec": {"template": {"data": {"a": "new"}}}})
    await holds(m1, CONFIGMAPS, namespace, "web", lambda found: found["data"] == {"a": "new"})
    await reaches(host, namespace, "WaitingForApproval", revision=2)
    await web.reason("Ready", "HeldByRollout")
    found = json.loads((await user.run("explain", "configmap", "web", "-o", "json")).out)
    assert of(found, "m1")["manifest"]["data"] == {"a": "new"}
    assert of(found, "m2")["manifest"]["data"] == {"a": "old"}
    assert of(found, "m2")["now"]["change"] == "none"
    assert any("FederatedRollout safe is releasing revision 2" in note for note in found["notes"])
    ran = await user.run("diff", "configmap", "web", code=1)
    assert "+  a: new" in ran.out
    assert "MERGED/m2." in ran.out
    assert "MERGED/m1." not in ran.out
    assert "FederatedRollout safe releases it in stages" in ran.err


async def test_explain_shows_deletions_that_are_held(user: User, host: Api, m1: Api, namespace: str) -> None:
    await federated_namespace(host, namespace, BOTH)
    made = await make(host, FEDERATED_CONFIGMAPS, namespace, "settings", {"data": {"a": "b"}}, clusters=BOTH)
    await made.annotate(**{"delete-protection": "true"})
    await made.patch({"spec": {"placement": {"clusters": [{"name": "m2"}]}}})
    await made.reports("m1", "WaitingForRemoval")
    found = json.loads((await user.run("explain", "configmap", "settings", "-o", "json")).out)
    one = of(found, "m1")
    assert (one["selected"], one["there"]) == (False, True)
    assert one["reported"]["state"] == "WaitingForRemoval"
    assert any("deletions are held (Protected)" in note for note in found["notes"])
    assert any(wait["state"] == "WaitingForRemoval" and wait["again"] for wait in one["waits"])
    await made.annotate(**{"delete-protection": None})


# --- diff ----------------------------------------------------------------------------------------------------------


async def test_diff_of_an_object_has_kubectls_exit_codes(user: User, host: Api, m1: Api, namespace: str) -> None:
    await federated_namespace(host, namespace, BOTH)
    policy = {"kubefed.io/drift": "Report"}
    made = await make(host, FEDERATED_CONFIGMAPS, namespace, "settings", {"data": {"a": "b"}}, clusters=BOTH)
    assert (await user.run("diff", "configmap", "settings")).out == ""
    await made.patch({"metadata": {"annotations": policy}})
    await made.settled()
    await m1.patch(CONFIGMAPS, namespace, "settings", {"data": {"a": "drifted"}})
    ran = await user.run("diff", "configmap", "settings", code=1)
    assert f"--- LIVE/m1.v1.ConfigMap.{namespace}.settings" in ran.out
    assert "-  a: drifted" in ran.out
    assert "+  a: b" in ran.out
    assert "m2" not in ran.out
    assert (await user.run("diff", "configmap", "settings", "--cluster", "m2")).out == ""
    assert (await user.run("diff", "configmap", "nothing", code=2)).out == ""
    stored = await m1.get(CONFIGMAPS, namespace, "settings")
    assert stored is not None
    assert stored["data"] == {"a": "drifted"}


async def test_diff_of_files_shows_hub_and_members_and_writes_nothing(
    user: User, host: Api, m1: Api, namespace: str, tmp_path: Path
) -> None:
    await federated_namespace(host, namespace, BOTH)
    await make(host, FEDERATED_CONFIGMAPS, namespace, "settings", {"data": {"a": "b"}}, clusters=["m1"])
    file = tmp_path / "settings.yaml"
    document: dict[str, Any] = {
        "apiVersion": FEDERATED_CONFIGMAPS.api_version,
        "kind": "FederatedConfigMap",
        "metadata": {"name": "settings"},
        "spec": {"template": {"data": {"a": "c"}}, "placement": {"clusters": [{"name": "m1"}, {"name": "m2"}]}},
    }
    file.write_text(yaml.safe_dump(document))
    ran = await user.run("diff", "-f", str(file), code=1)
    headers = [line for line in ran.out.splitlines() if line.startswith("+++ ")]
    assert headers == [
        f"+++ MERGED/hub.types.kubefed.io.v1beta1.FederatedConfigMap.{namespace}.settings",
        f"+++ MERGED/m1.v1.ConfigMap.{namespace}.settings",
        f"+++ MERGED/m2.v1.ConfigMap.{namespace}.settings",
    ]
    stored = await m1.get(CONFIGMAPS, namespace, "settings")
    assert stored is not None
    assert stored["data"] == {"a": "b"}
    number = [{"clusterName": "m1", "clusterOverrides": [{"path": "/data/a", "value": 1}]}]
    file.write_text(yaml.safe_dump({**document, "spec": {**document["spec"], "overrides": number}}))
    ran = await user.run("diff", "-f", str(file), code=3)
    assert "m1 could not be compared" in ran.err
    assert "MERGED/m2.v1.ConfigMap" in ran.out


async def test_diff_masks_secrets_and_runs_the_users_program(
    user: User, host: Api, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await federated_namespace(host, namespace, BOTH)
    template = {"stringData": {"password": "hunter2"}}
    await make(host, FEDERATED_SECRETS, namespace, "login", template, clusters=["m1"])
    file = tmp_path / "login.yaml"
    document = {
        "apiVersion": FEDERATED_SECRETS.api_version,
        "kind": "FederatedSecret",
        "metadata": {"name": "login"},
        "spec": {"template": {"stringData": {"password": "swordfish"}}, "placement": {"clusters": [{"name": "m1"}]}},
    }
    file.write_text(yaml.safe_dump(document))
    ran = await user.run("diff", "-f", str(file), code=1)
    assert "-  password: '*** (before)'" in ran.out
    assert "+  password: '*** (after)'" in ran.out
    explained = await user.run("explain", "secret", "login", "--manifest")
    for word in ("hunter2", "swordfish", "aHVudGVyMg==", "c3dvcmRmaXNo"):
        assert word not in ran.out + ran.err + explained.out + explained.err
    program = tmp_path / "compare"
    program.write_text('#!/bin/sh\necho "$3" "$4" "$(ls "$1")"\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("KUBECTL_EXTERNAL_DIFF", f"{program} -N $(id) -u")
    ran = await user.run("diff", "-f", str(file), code=1)
    assert ran.out.split()[:2] == ["-N", "-u"]  # as kubectl, what is no plain argument is left out
    assert f"m1.v1.Secret.{namespace}.login" in ran.out


# --- events and logs -----------------------------------------------------------------------------------------------


async def test_events_of_what_a_copy_owns_are_listed_and_followed(
    user: User, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    await deployed(host, namespace)
    names = {"m1": await pods(m1, namespace, 1), "m2": await pods(m2, namespace, 2)}

    async def created() -> Any:
        ran = await user.run("events", "deploy", "web", "--no-headers")
        lines = [line.split() for line in ran.out.splitlines()]
        made = [line for line in lines if "SuccessfulCreate" in line]
        return made if len(made) == 3 else None

    made = await eventually(created)
    assert sorted(line[0] for line in made) == ["m1", "m2", "m2"]
    await m2.create(CONFIGMAPS, {"metadata": {"name": "other", "namespace": namespace}}, namespace)
    for kind, name, reason in (("Pod", names["m2"][0], "Bad\x1b[31mNews"), ("ConfigMap", "other", "NotOurs")):
        await emit(m2, namespace, kind, name, reason)
    text = (await user.run("events", "deploy", "web", "--types", "Warning", "--no-headers")).out
    assert [line.split()[0] for line in text.splitlines()] == ["m2"]
    assert "\x1b" not in text
    assert "NotOurs" not in text
    assert "NotOurs" in (await user.run("events", "--cluster", "m2")).out
    async with user.running("events", "deploy", "web", "-f") as following:
        await following.shows("m2", "News")
        await emit(m1, namespace, "Pod", names["m1"][0], "Later")
        await following.shows("m1", "Later", f"pod/{names['m1'][0]}")
        await host.patch(FEDERATED_DEPLOYMENTS, namespace, "web", {"spec": {"template": {"spec": {"replicas": 2}}}})
        (fresh,) = set(await pods(m1, namespace, 2)) - set(names["m1"])
        await emit(m1, namespace, "Pod", fresh, "OfANewPod")
        await following.shows("m1", "OfANewPod")
        assert not any("NotOurs" in line for line in following.lines)


async def emit(api: Api, namespace: str, kind: str, name: str, reason: str) -> None:
    """An Event about an object, as somebody in the member may write it."""
    resource = PODS if kind == "Pod" else CONFIGMAPS
    about = await api.get(resource, namespace, name)
    assert about is not None
    event = {
        "metadata": {"generateName": "e-", "namespace": namespace},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": kind,
            "name": name,
            "namespace": namespace,
            "uid": about["metadata"]["uid"],
        },
        "type": "Warning",
        "reason": reason,
        "message": f"{reason} happened",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "count": 2,
    }
    await api.create(EVENTS, event, namespace)


@pytest.fixture
async def kubelets(m1: Api, m2: Api, namespace: str, tmp_path: Path) -> AsyncIterator[dict[str, Kubelet]]:
    made = {name: Kubelet(f"node-{name}-{namespace[-6:]}", tmp_path) for name in BOTH}
    with made["m1"], made["m2"]:
        for api, kubelet in ((m1, made["m1"]), (m2, made["m2"])):
            await kubelet.join(api)
        yield made
        for api, kubelet in ((m1, made["m1"]), (m2, made["m2"])):
            await api.delete(NODES, "", kubelet.name)


async def test_logs_of_all_pods_of_all_members(
    user: User, host: Api, m1: Api, m2: Api, kubelets: dict[str, Kubelet]
) -> None:
    namespace = user.namespace
    await deployed(host, namespace)
    names = {"m1": await pods(m1, namespace, 1), "m2": await pods(m2, namespace, 2)}
    unscheduled = await user.run("logs", "deploy", "web")
    assert (unscheduled.code, unscheduled.out, "this is not" in unscheduled.err) == (0, "", False), unscheduled.err
    for name, api in (("m1", m1), ("m2", m2)):
        for pod in names[name]:
            await kubelets[name].bind(api, namespace, pod)
            kubelets[name].write(namespace, pod, f"one of {pod}", "two \x1b]0;gotcha\x07")
            kubelets[name].write(namespace, pod, "from the proxy", container="proxy")
    ran = await user.run("logs", "deploy", "web")
    lines = ran.out.splitlines()
    assert [line.split()[0] for line in lines] == ["m1", "m1", "m2", "m2", "m2", "m2"]
    first = names["m1"][0]
    assert lines[0] == f"m1 {first} app | one of {first}"
    assert lines[1].endswith("| two \\u001b]0;gotcha\\u0007")
    assert "others: proxy" in ran.err
    ran = await user.run("logs", "deploy/web", "-c", "proxy", "--cluster", "m2", "--tail", "1")
    assert [line.split()[2:] for line in ran.out.splitlines()] == [["proxy", "|", "from", "the", "proxy"]] * 2
    assert all("tailLines=1" in query for query in kubelets["m2"].asked[-2:])
    ran = await user.run("logs", "-l", "app=web", "--all-containers")
    assert len(ran.out.splitlines()) == 9
    kubelets["m1"].restart(namespace, first)
    kubelets["m1"].write(namespace, first, "born again")
    ran = await user.run("logs", "deploy", "web", "--cluster", "m1", "--previous")
    assert ran.out.splitlines()[0] == f"m1 {first} app | one of {first}"
    ran = await user.run("logs", "deploy", "web", "-c", "nope", "--cluster", "m1", code=3)
    assert "it has app, proxy" in ran.err or "container nope is not in pod" in ran.err


async def test_logs_are_followed_over_restarts_breaks_and_new_pods(
    user: User, host: Api, m1: Api, m2: Api, kubelets: dict[str, Kubelet]
) -> None:
    namespace = user.namespace
    await deployed(host, namespace)
    (pod,) = await pods(m1, namespace, 1)
    (other, _) = await pods(m2, namespace, 2)
    await kubelets["m1"].bind(m1, namespace, pod)
    await kubelets["m2"].bind(m2, namespace, other)
    async with user.running("logs", "deploy", "web", "-f") as following:
        kubelets["m1"].write(namespace, pod, "first")
        await following.shows(f"m1 {pod} app | first")
        kubelets["m2"].write(namespace, other, "elsewhere")
        await following.shows(f"m2 {other} app | elsewhere")
        kubelets["m1"].cut()
        kubelets["m1"].write(namespace, pod, "after the break")
        await following.shows(f"m1 {pod} app | after the break")
        kubelets["m1"].restart(namespace, pod)
        await kubelets["m1"].show(m1, namespace, pod)
        kubelets["m1"].write(namespace, pod, "another instance")
        await following.shows(f"m1 {pod} app | another instance")
        await host.patch(FEDERATED_DEPLOYMENTS, namespace, "web", {"spec": {"template": {"spec": {"replicas": 2}}}})
        (fresh,) = set(await pods(m1, namespace, 2)) - {pod}
        await kubelets["m1"].bind(m1, namespace, fresh)
        kubelets["m1"].write(namespace, fresh, "hello")
        await following.shows(f"m1 {fresh} app | hello")
        texts = [line.partition(" | ")[2] for line in following.lines]
    assert texts.count("first") == texts.count("after the break") == texts.count("another instance") == 1


async def test_a_member_that_does_not_answer_is_said_and_the_others_go_on(
    user: User, host: Api, m1: Api, namespace: str, tmp_path: Path
) -> None:
    await deployed(host, namespace)
    await pods(m1, namespace, 1)
    document = yaml.safe_load(user.kubeconfig.read_text())
    for each in document["clusters"]:
        if each["name"] == "m2":
            each["cluster"]["server"] = "https://127.0.0.1:1"
    lame = tmp_path / "lame"
    lame.write_text(yaml.safe_dump(document))
    for verb in (("events", "deploy", "web"), ("logs", "deploy", "web"), ("explain", "deploy", "web")):
        ran = await user.run(*verb, code=3, kubeconfig=lame)
        assert "warning: m2: " in ran.err, verb
    ran = await user.run("events", "deploy", "web", code=3, kubeconfig=lame)
    assert {line.split()[0] for line in ran.out.splitlines()[1:]} == {"m1"}
    ran = await user.run("diff", "deploy", "web", code=3, kubeconfig=lame)
    assert "m2 could not be compared" in ran.err


async def test_a_member_is_asked_with_the_users_own_rights(
    user: User, host: Api, m1: Api, namespace: str, tmp_path: Path
) -> None:
    await deployed(host, namespace)
    await pods(m1, namespace, 1)
    token = await reader(m1, namespace)
    document = yaml.safe_load(user.kubeconfig.read_text())
    for each in document["users"]:
        if each["name"] == "m1":
            each["user"] = {"token": token}
    limited = tmp_path / "limited"
    limited.write_text(yaml.safe_dump(document))
    one = ("deploy", "web", "--cluster", "m1")
    assert "SuccessfulCreate" in (await user.run("events", *one, kubeconfig=limited)).out
    ran = await user.run("logs", *one, code=3, kubeconfig=limited)
    assert 'cannot get resource "pods/log"' in ran.err
    ran = await user.run("explain", *one, kubeconfig=limited)
    assert "selected" in ran.out
    ran = await user.run("diff", *one, code=3, kubeconfig=limited)
    assert "cannot patch resource" in ran.err
    ran = await user.run("events", *one, "--stored-credentials", code=3, kubeconfig=limited)
    assert "events" in ran.err
    assert "forbidden" in ran.err


async def reader(api: Api, namespace: str) -> str:
    """The token of an account that may look at most things in a namespace, but not at logs."""
    name = f"reader-{namespace[-6:]}"
    account = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    rules = [
        {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["get", "list", "watch"]},
    ]
    system = [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}]
    await api.create(SERVICE_ACCOUNTS, {"metadata": {"name": name, "namespace": namespace}}, namespace)
    for role, binding, kind, place, allowed in (
        (ROLES, ROLE_BINDINGS, "Role", namespace, rules),
        (CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, "ClusterRole", "", system),
    ):
        at = {"namespace": place} if place else {}
        await api.create(role, {"metadata": {"name": name, **at}, "rules": allowed}, place)
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
        bound = {"metadata": {"name": name, **at}, "roleRef": reference, "subjects": [account]}
        await api.create(binding, bound, place)
    path = f"{SERVICE_ACCOUNTS.path(ObjectName(namespace, name))}/token"
    answer = await api.connection.request("POST", path, body=b'{"spec":{}}')
    return str(expect(answer, path).json()["status"]["token"])


# --- get and wait --------------------------------------------------------------------------------------------------


async def test_get_is_watched_sorted_and_shaped_as_by_kubectl(user: User, host: Api, namespace: str) -> None:
    await federated_namespace(host, namespace, BOTH)
    for name in ("zebra", "apple"):
        await make(host, FEDERATED_CONFIGMAPS, namespace, name, {"data": {"size": name}}, clusters=["m1"])
    names = "-o=jsonpath={range .items[*]}{.metadata.name}={.spec.template.data.size}{'\\n'}{end}"
    ran = await user.run("get federated", "configmaps", names)
    assert ran.out.splitlines() == ["apple=apple", "zebra=zebra"]
    columns = 'custom-columns=NAME:.metadata.name,READY:.status.conditions[?(@.type=="Ready")].status,NO:.nothing'
    ran = await user.run("get federated", "configmaps", "-o", columns)
    assert [line.split() for line in ran.out.splitlines()] == [
        ["NAME", "READY", "NO"],
        ["apple", "True", "<none>"],
        ["zebra", "True", "<none>"],
    ]
    assert (await user.run("get federated", "configmaps", "--not-ready")).out == ""
    async with user.running("get federated", "configmaps", "-w") as following:
        await following.shows("zebra", "1/1")
        broken = {"spec": {"overrides": [{"clusterName": "m1", "clusterOverrides": [{"path": "/x/y", "value": 1}]}]}}
        await host.patch(FEDERATED_CONFIGMAPS, namespace, "zebra", broken)
        await following.shows("zebra", "CheckClusters")
    ran = await user.run("get federated", "configmaps", "--not-ready", "-o", "name")
    assert ran.out.split() == ["federatedconfigmap.types.kubefed.io/zebra"]


async def test_wait_for_propagated_healthy_and_gone(user: User, host: Api, m1: Api, m2: Api, namespace: str) -> None:
    await deployed(host, namespace)
    assert "condition met" in (await user.run("wait", "deploy", "web", "--for=propagated")).out
    ran = await user.run("wait", "deploy/web", "--for=healthy", "--timeout", "1s", code=1)
    assert "timed out waiting for healthy" in ran.err
    assert "replicas are" in ran.err
    for api, count in ((m1, 1), (m2, 2)):
        await well(api, namespace, count)
    await user.run("wait", "deploy", "web", "--for=healthy", "--timeout", "20s")
    await user.run("wait", "clusters", "m1", "m2", "--for=ready")
    ran = await user.run("wait", "deploy", "web", "--for=gone", "--timeout", "0", code=1)
    assert "nobody has deleted it" in ran.err
    waiting = asyncio.create_task(user.run("wait", "deploy", "web", "--for=gone", "--timeout", "60s"))
    await host.delete(FEDERATED_DEPLOYMENTS, namespace, "web")
    await waiting
    assert await m1.get(DEPLOYMENTS, namespace, "web") is None


async def well(api: Api, namespace: str, count: int) -> None:
    """Make a member's Pods ready, as its kubelets would, so that its Deployment is well."""
    for name in await pods(api, namespace, count):
        path = f"{PODS.path(ObjectName(namespace, name))}/status"
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        body = orjson.dumps({"status": status})
        expect(await api.connection.request("PATCH", path, body=body, content_type=MERGE_PATCH), path)


async def test_clusters_types_namespaces_and_objects_are_completed(user: User, host: Api, namespace: str) -> None:
    await federated_namespace(host, namespace, BOTH)
    await make(host, FEDERATED_CONFIGMAPS, namespace, "settings", {"data": {"a": "b"}}, clusters=["m1"])
    at = ["--kubeconfig", str(user.kubeconfig), "--host-cluster-context", "host"]

    def words(*given: str, incomplete: str = "") -> list[str]:
        complete = ShellComplete(root.fedctl, {}, "fedctl", "_FEDCTL_COMPLETE")
        return [item.value for item in complete.get_completions([*given[:1], *at, *given[1:]], incomplete)]

    async def offered(*given: str, incomplete: str = "") -> list[str]:
        return await asyncio.to_thread(words, *given, incomplete=incomplete)

    assert await offered("explain", incomplete="configm") == ["configmaps"]
    for verb in ("explain", "diff", "events", "logs", "status", "wait"):
        assert await offered(verb, "-n", namespace, "configmap", incomplete="se") == ["settings"], verb
    assert await offered("logs", "configmap", "settings", "--cluster", incomplete="m") == ["m1", "m2"]
    assert namespace in await offered("explain", "-n", incomplete="test-")
    assert await offered("wait", "clusters", incomplete="m1") == ["m1"]
