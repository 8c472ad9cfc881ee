"""`fedctl enable --check` on real control planes: what every member would refuse, told before anything is changed."""

import asyncio
import gc
import json
import ssl
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.shell_completion import ShellComplete

from federation.cli import root
from federation.core import binding
from federation.joining import checking
from federation.playground.clusters import Playground
from federation.playground.faultproxy import FaultProxy
from federation.playground.faults import Fault
from federation.playground.requestinfo import READS
from tests.clusters.crds_server import DEFINITIONS, Server
from tests.clusters.fedctl import Ran, Site, hub, site
from tests.unit.typegen import projects
from typegen import definitions, documents

__all__ = ["hub", "site"]

CRDS = Path(projects.HERE.parent, "crds")
PUBLISHED = [
    *(each.crd for each in projects.load().values() if each.crd["apiVersion"] == definitions.API_VERSION),
    *(each.document for each in documents.read([str(CRDS)])),
]


def gauge(
    site: Site, *versions: tuple[str, dict[str, Any]], scope: str = "Namespaced", conversion: Any = None
) -> dict[str, Any]:
    """A CRD in a group of this test's own; of each version the properties of its spec. The first one is stored."""
    group = f"{site.host_name}.example.com"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"gauges.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": "Gauge", "plural": "gauges", "singular": "gauge"},
            "scope": scope,
            "versions": [
                {"name": name, "served": True, "storage": index == 0, "schema": {"openAPIV3Schema": _object(below)}}
                for index, (name, below) in enumerate(versions)
            ],
            **({"conversion": conversion} if conversion else {}),
        },
    }


def _object(spec: dict[str, Any]) -> dict[str, Any]:
    own = {"type": "object", "properties": {name: child for name, child in spec.items() if name != "required"}}
    if "required" in spec:
        own["required"] = spec["required"]
    status = {"type": "object", "properties": {"ready": {"type": "boolean"}}}
    return {"type": "object", "properties": {"spec": own, "status": status}}


class Servers:
    """The API servers of a site, for CRDs that are gone after the test."""

    def __init__(self, playground: Playground, trust: ssl.SSLContext) -> None:
        self._servers = {name: Server(cluster, trust) for name, cluster in playground.clusters.items()}
        self._applied: list[tuple[str, dict[str, Any]]] = []

    def establish(self, cluster: str, *crds: dict[str, Any]) -> None:
        """Apply CRDs and wait until the OpenAPI documents say what they say: those follow by a second."""
        server = self._servers[cluster]
        self._applied += [(cluster, crd) for crd in crds]
        known = {crd["metadata"]["name"] for crd in server.get(DEFINITIONS)["items"]}
        before = self._hashes(cluster) if known & {crd["metadata"]["name"] for crd in crds} else {}
        server.establish(crds)
        served = {
            f"apis/{crd['spec']['group']}/{each['name']}"
            for crd in crds
            for each in crd["spec"]["versions"]
            if each["served"]
        }
        for _ in range(400):
            now = self._hashes(cluster)
            left = {name for name in served if now.get(name) in (None, before.get(name))}
            if not left:
                return
            time.sleep(0.05)
        raise AssertionError(f"{cluster} does not publish {left}")

    def _hashes(self, cluster: str) -> dict[str, str]:
        paths = self._servers[cluster].get("/openapi/v3")["paths"]
        return {name: each["serverRelativeURL"] for name, each in paths.items()}

    def remove(self) -> None:
        for cluster, crd in self._applied:
            self._servers[cluster].call("DELETE", f"{DEFINITIONS}/{crd['metadata']['name']}")


@pytest.fixture
def servers(playground: Playground, trust: ssl.SSLContext) -> Iterator[Servers]:
    made = Servers(playground, trust)
    yield made
    made.remove()


def table(ran: Ran) -> list[list[str]]:
    """The rows below the header; columns are parted by three spaces."""
    header, *rows = ran.out.splitlines()
    assert header.split() == ["CLUSTER", "TYPE", "FINDING", "VERSIONS", "PATH", "MESSAGE"]
    return [[cell.strip() for cell in row.split("   ") if cell.strip()] for row in rows]


TEXT = {"type": "string"}
OLD = {"mode": {**TEXT, "enum": ["slow"]}, "size": {"type": "integer", "maximum": 5}}
NEW = {"mode": {**TEXT, "enum": ["slow", "fast"]}, "size": {"type": "integer"}, "colour": TEXT}


def test_what_every_member_serves_fits(hub: Site) -> None:
    hub.run("join", "m1")
    hub.run("join", "m2")
    ran = hub.run("enable", "--check", "configmaps", "deploy", "customresourcedefinitions")
    assert [row[:3] for row in table(ran)] == [
        [member, name, "Fits"]
        for member in ("m1", "m2")
        for name in ("configmaps", "deployments.apps", "customresourcedefinitions.apiextensions.k8s.io")
    ]
    assert ran.err == ""
    assert hub.get("host", hub.kubefed("federatedtypeconfigs", "configmaps")) is None


def test_members_that_lag_lead_and_lack_are_told_apart(hub: Site, servers: Servers) -> None:
    hub.run("join", "m1")
    hub.run("join", "m2")
    hub.run("join", "m3")
    servers.establish("host", gauge(hub, ("v1", NEW)))
    servers.establish("m1", gauge(hub, ("v1", OLD)))
    servers.establish("m3", gauge(hub, ("v1", {**NEW, "unit": TEXT, "required": ["unit"]})))
    name = f"gauges.{hub.host_name}.example.com"

    ran = hub.run("enable", "--check", name, code=1)

    assert table(ran) == [
        ["m1", name, "FieldUnknown", "v1", "spec.template.spec.colour", "the field is not known there"],
        ["m1", name, "Stricter", "v1", "spec.template.spec.mode", "fast not allowed there"],
        ["m1", name, "Stricter", "v1", "spec.template.spec.size", "maximum is 5 there, none at the hub"],
        [
            "m2",
            name,
            "TypeUnavailable",
            "<none>",
            "<none>",
            f"the type is not served there: is its CRD {name} installed?",
        ],
        ["m3", name, "Stricter", "v1", "spec.template.spec", "unit is required there"],
    ]
    assert "3 of 3 do not fit; nothing was changed" in ran.err
    assert hub.get("host", f"{DEFINITIONS}/federatedgauges.types.kubefed.io") is None

    # Before the CRD is anywhere: the same of a file, here for programs.
    path = Path(hub.directory, "gauge.yaml")
    path.write_text(yaml.safe_dump(gauge(hub, ("v1", OLD))))
    found = json.loads(hub.run("enable", "--check", "-f", str(path), "-o", "json", code=1).out)
    assert found["fits"] is False
    assert [(each["cluster"], each["fits"], each["serves"]) for each in found["clusters"]] == [
        ("m1", True, ["v1"]),
        ("m2", False, []),
        ("m3", False, ["v1"]),
    ]
    assert found["clusters"][2]["findings"] == [
        {
            "finding": "Stricter",
            "versions": ["v1"],
            "path": "spec.template.spec",
            "message": "unit is required there",
        }
    ]


def test_versions_that_are_not_served(hub: Site, servers: Servers) -> None:
    hub.run("join", "m1")
    hub.run("join", "m2")
    hub.run("join", "m3")
    converts = {
        "strategy": "Webhook",
        "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://127.0.0.1:9/convert"}},
    }
    wanted = gauge(hub, ("v2", NEW), ("v1", OLD), conversion=converts)
    path = Path(hub.directory, "gauge.yaml")
    path.write_text(yaml.safe_dump(wanted))
    servers.establish("m1", gauge(hub, ("v1", OLD)))
    servers.establish("m2", gauge(hub, ("v3", NEW), ("v2", NEW)))
    servers.establish("m3", gauge(hub, ("v2", NEW), ("v1", OLD), scope="Cluster"))
    found = yaml.safe_load(hub.run("enable", "--check", "-f", str(path), "-o", "yaml", code=1).out)
    reported = {
        each["cluster"]: [(one["finding"], one["versions"], one["message"]) for one in each["findings"]]
        for each in found["clusters"]
    }
    assert reported == {
        "m1": [
            (
                "VersionUnavailable",
                ["v2"],
                "v2 is not served there, which templates without apiVersion need; served: v1",
            )
        ],
        "m2": [
            ("VersionUnavailable", ["v1"], "v1 is not served there, which templates that name it need; served: v3, v2")
        ],
        "m3": [("OtherType", [], "the type is cluster-wide there, namespaced at the hub")],
    }

    # Without a webhook the controller pushes the version that there is, and its schema is what counts.
    wanted["spec"]["conversion"] = {"strategy": "None"}
    path.write_text(yaml.safe_dump(wanted))
    found = yaml.safe_load(hub.run("enable", "--check", "-f", str(path), "-o", "yaml", code=1).out)
    paths = {each["cluster"]: [(one["finding"], one["path"]) for one in each["findings"]] for each in found["clusters"]}
    assert paths["m1"] == [
        ("FieldUnknown", "spec.template.spec.colour"),
        ("Stricter", "spec.template.spec.mode"),
        ("Stricter", "spec.template.spec.size"),
    ]
    assert paths["m2"] == []


def test_an_enabled_type_after_an_upgrade_of_the_hub(hub: Site, servers: Servers) -> None:
    hub.run("join", "m1")
    servers.establish("host", gauge(hub, ("v1", OLD)))
    servers.establish("m1", gauge(hub, ("v1", OLD)))
    name = f"gauges.{hub.host_name}.example.com"
    hub.run("enable", name, "--federated-group", f"{hub.host_name}.example.com")
    hub.run("enable", "--check", name)
    where = ["--kubeconfig", str(hub.kubeconfig), "--context", "host", "--kubefed-namespace", hub.namespace]
    complete = ShellComplete(root.fedctl, {}, "fedctl", "_FEDCTL_COMPLETE")
    assert [each.value for each in complete.get_completions(["enable", "--check", *where], "gau")] == [name]
    assert complete.get_completions(["enable", *where], "gau") == []
    servers.establish("host", gauge(hub, ("v1", NEW)))
    ran = hub.run("enable", "--check", name, code=1)
    assert {row[2] for row in table(ran)} == {"FieldUnknown", "Stricter"}
    servers.establish("m1", gauge(hub, ("v1", NEW)))
    ran = hub.run("enable", "--check", name)
    assert [row[2] for row in table(ran)] == ["Fits"]
    hub.run("disable", name, "--delete-crd")


def test_an_enabled_type_that_the_host_does_not_serve_asks_for_its_crd(hub: Site) -> None:
    crd = gauge(hub, ("v1", OLD))
    path = Path(hub.directory, "gauge.yaml")
    path.write_text(yaml.safe_dump(crd))
    hub.run("enable", "-f", str(path))
    ran = hub.run("enable", "--check", crd["metadata"]["name"], code=1)
    assert "is enabled, but host does not serve it" in ran.err
    assert "next: give the CRD that it was made from: fedctl enable --check -f FILE" in ran.err
    hub.run("disable", "-f", str(path), "--delete-crd")


@pytest.mark.timeout(300)
def test_a_crd_fits_the_member_that_serves_it(hub: Site, servers: Servers) -> None:
    hub.run("join", "m1")
    crds = [without_webhook(crd) for crd in PUBLISHED]
    servers.establish("m1", *crds)
    path = Path(hub.directory, "crds.yaml")
    path.write_text(yaml.safe_dump_all(crds))
    ran = hub.run("enable", "--check", "-f", str(path))
    assert [row[2] for row in table(ran)] == ["Fits"] * len(crds)


def without_webhook(crd: dict[str, Any]) -> dict[str, Any]:
    return {**crd, "spec": {key: value for key, value in crd["spec"].items() if key != "conversion"}}


def test_the_stored_account_is_enough_where_there_is_no_context(hub: Site, servers: Servers) -> None:
    hub.run("join", "m1")
    hub.run("join", "m2")
    servers.establish("host", gauge(hub, ("v1", NEW)))
    servers.establish("m1", gauge(hub, ("v1", OLD)))
    assert not hub.may("m1", hub.token("m1"), "get", "apiextensions.k8s.io/customresourcedefinitions")
    name = f"gauges.{hub.host_name}.example.com"
    # m1 is in no context, and m2's leads nowhere.
    document = yaml.safe_load(hub.without("m1").read_text())
    for each in document["clusters"]:
        if each["name"] == "m2":
            each["cluster"]["server"] = "https://127.0.0.1:9"
    path = hub.write(document)
    ran = hub.run("enable", "--check", name, code=1, kubeconfig=path)
    assert [(row[0], row[2]) for row in table(ran)] == [
        ("m1", "FieldUnknown"),
        ("m1", "Stricter"),
        ("m1", "Stricter"),
        ("m2", "TypeUnavailable"),
    ]


def test_members_that_cannot_be_asked_are_findings(hub: Site) -> None:
    for member in ("m1", "m2", "m3"):
        hub.run("join", member)
    hub.merge("host", hub.kubefed("kubefedclusters", "m1"), {"spec": {"apiEndpoint": "https://127.0.0.1:9"}})
    joined = hub.cluster("m2")
    assert joined is not None
    hub.delete("host", hub.in_system("secrets", joined["spec"]["secretRef"]["name"]))
    ran = hub.run("enable", "--check", "configmaps", code=3, kubeconfig=hub.without("m1", "m2"))
    assert [row[:3] for row in table(ran)] == [
        ["m1", "configmaps", "Unknown"],
        ["m2", "configmaps", "Unknown"],
        ["m3", "configmaps", "Fits"],
    ]
    assert "127.0.0.1:9" in table(ran)[0][-1]
    assert "no credentials are stored for it" in table(ran)[1][-1]
    assert "2 of 3 could not be compared" in ran.err


def test_another_cluster_at_a_members_address_is_not_asked(hub: Site) -> None:
    hub.run("join", "m1")
    hub.run("join", "m2")
    other = hub.cluster("m2")
    assert other is not None
    moved = {key: other["spec"][key] for key in ("apiEndpoint", "secretRef")}
    hub.merge("host", hub.kubefed("kubefedclusters", "m1"), {"spec": moved})
    ran = hub.run("enable", "--check", "configmaps", code=3, kubeconfig=hub.without("m1", "m2"))
    assert [row[2] for row in table(ran)] == ["Unknown", "Fits"]
    assert "another cluster answers" in table(ran)[0][-1]


async def test_nothing_is_written_and_a_silent_member_holds_nobody_up(
    hub: Site, servers: Servers, playground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    for member in ("m1", "m2"):
        await asyncio.to_thread(hub.run, "join", member)
    await asyncio.to_thread(servers.establish, "host", gauge(hub, ("v1", NEW)))
    await asyncio.to_thread(servers.establish, "m1", gauge(hub, ("v1", OLD)))
    name = f"gauges.{hub.host_name}.example.com"
    proxies = {each: FaultProxy(playground.clusters[each], playground.ca) for each in ("host", "m1", "m2")}
    for proxy in proxies.values():
        await proxy.start()
    try:
        # The host and m1 by the user's contexts, m2 by what is stored: every road passes a proxy.
        document = yaml.safe_load(hub.without("m2").read_text())
        for each in document["clusters"]:
            if each["name"] in proxies:
                each["cluster"]["server"] = proxies[each["name"]].url
        path = hub.write(document)
        where = hub.kubefed("kubefedclusters", "m2")
        await asyncio.to_thread(hub.merge, "host", where, {"spec": {"apiEndpoint": proxies["m2"].url}})
        unbound = {"metadata": {"annotations": {binding.ANNOTATION: None}}}  # as whoever may write Secrets confirms it
        secret = (hub.cluster("m2") or {})["spec"]["secretRef"]["name"]
        await asyncio.to_thread(hub.merge, "host", hub.in_system("secrets", secret), unbound)

        ran = await asyncio.to_thread(hub.run, "enable", "--check", name, "cm", code=1, kubeconfig=path)
        assert [(row[0], row[2]) for row in table(ran)] == [
            ("m1", "FieldUnknown"),
            ("m1", "Stricter"),
            ("m1", "Stricter"),
            ("m1", "Fits"),
            ("m2", "TypeUnavailable"),
            ("m2", "Fits"),
        ]
        for proxy in proxies.values():
            assert proxy.requests
            assert {each.verb for each in proxy.requests} <= READS
        asked = [each.path for each in proxies["m2"].requests]
        assert not any("/openapi/v3/" in each for each in asked), "what the hub has, too, is not fetched"

        monkeypatch.setattr(checking, "LIMIT", 5.0)
        proxies["m2"].inject(Fault("blackhole"))
        with warnings.catch_warnings():
            # TLS says goodbye and waits for that of a silent peer: the command ends before Python gives up (30 s).
            warnings.simplefilter("ignore", ResourceWarning)
            ran = await asyncio.to_thread(hub.run, "enable", "--check", "cm", code=3, kubeconfig=path)
            gc.collect()
        assert [(row[0], row[2], row[-1]) for row in table(ran)] == [
            ("m1", "Fits", "<none>"),
            ("m2", "Unknown", "no answer within 5 s"),
        ]
    finally:
        for proxy in proxies.values():
            await proxy.stop()


async def test_a_member_of_an_older_kubernetes(hub: Site, playground: Playground) -> None:
    await asyncio.to_thread(hub.run, "join", "m1")
    index = hub.get("m1", "/openapi/v3")
    document = hub.get("m1", "/openapi/v3/apis/apps/v1")
    assert index is not None
    assert document is not None
    del document["components"]["schemas"]["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["minReadySeconds"]
    index["paths"]["apis/apps/v1"]["serverRelativeURL"] = "/openapi/v3/apis/apps/v1?hash=OLDER"
    async with FaultProxy(playground.clusters["m1"], playground.ca) as proxy:
        for path, body in (("/openapi/v3/apis/apps/v1", document), ("/openapi/v3", index)):
            proxy.inject(Fault("status", path=path, code=200, body=json.dumps(body).encode()))
        proxied = hub.changed("m1", cluster={"server": proxy.url})
        ran = await asyncio.to_thread(hub.run, "enable", "--check", "deploy", "daemonsets", code=1, kubeconfig=proxied)
    assert [row[1:5] for row in table(ran)] == [
        ["deployments.apps", "FieldUnknown", "v1", "spec.template.spec.minReadySeconds"],
        ["daemonsets.apps", "Fits", "v1", "<none>"],
    ]


def test_no_members_is_nothing_to_compare_with(hub: Site) -> None:
    ran = hub.run("enable", "--check", "configmaps")
    assert ran.out == ""
    assert "no cluster has joined" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        pytest.param(["configmaps", "--dry-run"], 2, "leave out --dry-run", id="dry-run"),
        pytest.param(["configmap2"], 1, "did you mean", id="misspelt"),
        pytest.param(["kubefedclusters"], 1, "belongs to the federation itself", id="ours"),
        pytest.param([], 2, "give either NAME or -f FILE", id="nothing"),
    ],
)
def test_what_cannot_be_checked(hub: Site, arguments: list[str], code: int, message: str) -> None:
    ran = hub.run("enable", "--check", *arguments, code=code)
    assert message in ran.err


def test_check_before_init_says_init(site: Site) -> None:
    ran = site.run("enable", "--check", "configmaps", code=1)
    assert "fedctl init" in ran.err
