"""`fedctl get`, `status`, `version` and `controller run` on real control planes, with a real controller."""

import datetime as dt
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.clusters.fedctl import Ran, Site, fedctl, hub, site

__all__ = ["hub", "site"]

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


class Running:
    """`fedctl controller run` as a process."""

    def __init__(self, site: Site) -> None:
        self.log = site.directory / "controller.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603 (our own interpreter and words)
                [
                    *(sys.executable, "-m", "federation", "controller", "run"),
                    *("--kubeconfig", str(site.kubeconfig), "--host-cluster-context", "host"),
                    *("--kubefed-namespace", site.namespace, "--log-format", "console", "--log-level", "debug"),
                    *("--metrics-bind-address", f"127.0.0.1:{free_port()}"),
                    *("--health-probe-bind-address", f"127.0.0.1:{free_port()}"),
                ],
                stdout=log,
                stderr=log,
            )

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@pytest.fixture
def running(hub: Site) -> Iterator[Running]:
    made = Running(hub)
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def group(site: Site) -> str:
    return f"{site.host_name}.example.com"


@pytest.fixture(autouse=True)
def _no_crds_left(site: Site) -> Any:
    yield
    for found in (site.get("host", CRDS) or {})["items"]:
        if found["spec"]["group"] == group(site):
            site.delete("host", f"{CRDS}/{found['metadata']['name']}")


def enable(site: Site, *types: str) -> Ran:
    return site.run("enable", *types, "--federated-group", group(site))


def place(site: Site, name: str, data: dict[str, str], clusters: list[str]) -> None:
    body = {
        "apiVersion": f"{group(site)}/v1beta1",
        "kind": "FederatedConfigMap",
        "metadata": {"name": name, "namespace": site.namespace, "labels": {"app": name}},
        "spec": {"template": {"data": data}, "placement": {"clusters": [{"name": each} for each in clusters]}},
    }
    path = f"/apis/{group(site)}/v1beta1/namespaces/{site.namespace}/federatedconfigmaps/{name}?fieldManager=user"
    code, answer = site.request("host", "PATCH", path, body, kind="application/apply-patch+yaml")
    assert code in (200, 201), answer


def report(site: Site, name: str, status: dict[str, Any]) -> None:
    path = f"/apis/{group(site)}/v1beta1/namespaces/{site.namespace}/federatedconfigmaps/{name}/status"
    site.merge("host", path, {"status": status})


def columns(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_empty_lists_say_what_to_do_and_print_nothing(hub: Site) -> None:
    for noun, message in (
        ("clusters", "fedctl join"),
        ("types", "fedctl enable"),
        ("federated", "no federated objects"),
    ):
        ran = hub.run(f"get {noun}")
        assert ran.out == ""
        assert message in ran.err


def test_get_clusters_in_every_format(hub: Site) -> None:
    hub.run("join", "m1", "--label", "region=eu")
    hub.run("join", "m2")
    assert [row[0] for row in columns(hub.run("get clusters").out)] == ["NAME", "m1", "m2"]
    assert columns(hub.run("get clusters", "--no-headers", "-l", "region=eu").out)[0][:2] == ["m1", "Unknown"]
    wide = hub.run("get clusters", "-o", "wide").out
    assert hub.playground.clusters["m1"].url in wide
    names = hub.run("get clusters", "-o", "name").out.splitlines()
    assert names == ["kubefedcluster.core.kubefed.io/m1", "kubefedcluster.core.kubefed.io/m2"]
    listed = json.loads(hub.run("get clusters", "-o", "json").out)
    assert [each["metadata"]["name"] for each in listed["items"]] == ["m1", "m2"]
    one = yaml.safe_load(hub.run("get clusters", "m1", "-o", "yaml").out)
    assert (one["kind"], one["metadata"]["name"]) == ("KubeFedCluster", "m1")
    assert "managedFields" not in one["metadata"]
    assert "did you mean m1?" in hub.run("get clusters", "m11", code=1).err


def test_get_federated_and_status(hub: Site) -> None:
    enable(hub, "configmaps", "secrets")
    place(hub, "settings", {"a": "1"}, ["m1", "m2"])
    place(hub, "other", {"a": "1"}, ["m1"])
    since = "2026-01-10T11:58:00Z"
    failed = {"name": "m2", "status": "CreationFailed", "message": "exceeded quota: small", "since": since}
    lines = [{"name": "m1"}, failed]
    ready = {
        "type": "Ready",
        "status": "False",
        "message": "1 of 2 clusters have applied generation 1",
        "lastTransitionTime": "2026-01-10T11:59:00Z",
    }
    report(hub, "settings", {"observedGeneration": 1, "clusters": lines, "conditions": [ready]})

    rows = columns(hub.run("get federated", "cm", "-n", hub.namespace).out)
    assert rows[0] == ["TYPE", "NAME", "CLUSTERS", "APPLIED", "REASON", "AGE"]
    assert rows[2][:4] == ["configmaps", "settings", "1/2", "False"]
    every = columns(hub.run("get federated", "-A", "--no-headers", "-l", "app=settings").out)
    assert [row[:3] for row in every] == [[hub.namespace, "configmaps", "settings"]]
    assert len(columns(hub.run("get federated", "-n", hub.namespace, "--no-headers").out)) == 2
    assert "-A cannot be used with names" in hub.run("get federated", "cm", "x", "-A", code=2).err

    for kind in ("configmap", "cm", "federatedconfigmaps", f"federatedconfigmaps.{group(hub)}"):
        shown = hub.run("status", kind, "settings", "-n", hub.namespace).out
        assert f"FederatedConfigMap {hub.namespace}/settings" in shown
        assert "1 of 2 clusters have applied generation 1" in shown
        assert columns(shown)[-1][:2] == ["m2", "CreationFailed"]
        assert columns(shown)[-1][3] not in ("", "<none>")
        assert "exceeded quota: small" in shown
    facts = json.loads(hub.run("status", "cm", "settings", "-n", hub.namespace, "-o", "json").out)
    assert facts["clusters"][0] == {"cluster": "m1", "state": "Applied", "generation": 1, "since": "", "message": ""}
    assert facts["clusters"][1]["since"] == since
    assert "did you mean settings?" in hub.run("status", "cm", "setting", "-n", hub.namespace, code=1).err
    assert "not an enabled type" in hub.run("status", "pods", "x", code=1).err


def test_a_dead_controller_leaves_nothing_ready(hub: Site) -> None:
    hub.run("join", "m1")
    enable(hub, "configmaps")
    place(hub, "settings", {"a": "1"}, ["m1"])

    def probed(ago: float) -> None:
        stamp = (dt.datetime.now(dt.UTC) - dt.timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
        ready = {"type": "Ready", "status": "True", "reason": "ClusterReady", "lastProbeTime": stamp}
        body = {"status": {"conditions": [ready]}}
        hub.merge("host", f"{hub.kubefed('kubefedclusters', 'm1')}/status", body)

    probed(5)
    ran = hub.run("get clusters")
    assert columns(ran.out)[0][:3] == ["NAME", "READY", "PROBED"]
    assert columns(ran.out)[1][1] == "True"
    assert "controller" not in ran.err
    probed(7200)
    assert columns(hub.run("get clusters").out)[1][1:3] == ["Unknown", "120m"]
    assert "Ready was True when it was last probed, 120m ago" in hub.run("get clusters", "-o", "wide").out
    where = ["-n", hub.namespace]
    for words in (["get clusters"], ["get types"], ["get federated", *where], ["status", "cm", "settings", *where]):
        assert "no cluster was probed in the last 120m: the controller does not seem to run" in hub.run(*words).err
    assert columns(hub.run("get types", "--no-headers").out)[0][3] == "Unknown"
    config = hub.kubefed("kubefedconfigs", "kubefed")
    hub.merge("host", config, {"spec": {"clusterHealthCheck": {"period": "3h"}}})
    assert columns(hub.run("get clusters").out)[1][1:3] == ["True", "120m"]


def test_a_host_without_a_federation_is_not_one_without_clusters(site: Site) -> None:
    for noun in ("clusters", "types", "federated"):
        ran = site.run(f"get {noun}", code=1)
        assert "no federation is installed there" in ran.err
        assert "fedctl init" in ran.err


def test_version(hub: Site) -> None:
    hub.run("join", "m1")
    facts = json.loads(hub.run("version", "-o", "json").out)
    kubernetes = hub.get("host", "/version")
    assert kubernetes is not None
    assert facts["host"] == {"name": "host", "kubernetes": kubernetes["gitVersion"]}
    assert facts["members"] == [{"name": "m1", "kubernetes": ""}]
    assert facts["controller"] == ""
    assert fedctl("version", "--client").out == f"fedctl {facts['client']}\n"


def test_a_federation_from_join_to_disable_by_command_line_alone(hub: Site, running: Running) -> None:
    for cluster in ("m1", "m2"):
        hub.run("join", cluster, "--wait", "--timeout", "30")
    # Without FederatedNamespace nothing is placed; the host's system namespace has a twin in every member.
    enable(hub, "namespaces", "configmaps")
    body = {
        "apiVersion": f"{group(hub)}/v1beta1",
        "kind": "FederatedNamespace",
        "metadata": {"name": hub.namespace, "namespace": hub.namespace},
        "spec": {"placement": {"clusters": [{"name": "m1"}, {"name": "m2"}]}},
    }
    path = f"/apis/{group(hub)}/v1beta1/namespaces/{hub.namespace}/federatednamespaces"
    hub.request("host", "PATCH", f"{path}/{hub.namespace}?fieldManager=user", body, kind="application/apply-patch+yaml")
    place(hub, "settings", {"a": "1"}, ["m1", "m2"])

    ends = time.monotonic() + 30
    shown = ""
    states: list[str] = []
    while time.monotonic() < ends and states != ["Applied", "Applied"]:
        shown = hub.run("status", "cm", "settings", "-n", hub.namespace).out
        states = [row[1] for row in columns(shown) if row[:1] in (["m1"], ["m2"])]
        time.sleep(0.1)
    assert states == ["Applied", "Applied"], shown + running.log.read_text()[-3000:]
    assert hub.get("m1", hub.in_system("configmaps", "settings"))
    row = columns(hub.run("get clusters", "m1", "--no-headers").out)[0]
    assert row[1] == "True"
    assert row[3].startswith("v1."), row
    assert columns(hub.run("get types", "configmaps", "--no-headers").out)[0][3] == "Running"

    ran = hub.run("disable", "configmaps")  # the controller lets go of the FederatedTypeConfig
    assert "configmaps is no longer federated" in ran.err
    assert hub.get("m1", hub.in_system("configmaps", "settings"))
    assert running.stop() == 0
    assert "Traceback" not in running.log.read_text()


def test_ctrl_c_ends_with_130_and_no_traceback(hub: Site) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        kubeconfig = hub.changed("m1", cluster={"server": f"https://127.0.0.1:{silent.getsockname()[1]}"})
        process = subprocess.Popen(  # noqa: S603 (our own interpreter and words)
            [
                *(sys.executable, "-m", "federation", "join", "m1", "--kubeconfig", str(kubeconfig)),
                *("--host-cluster-context", "host", "--kubefed-namespace", hub.namespace),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        silent.settimeout(30)
        connection, _ = silent.accept()  # it is talking to the silent server now
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=30)
        connection.close()
    assert process.returncode == 130, message
    assert message.strip() == "interrupted"
