"""`fedctl init` on a real control plane."""

import concurrent.futures
import json
import time
from typing import Any

import pytest
import yaml

from federation.joining import defaulting
from tests.clusters.fedctl import ADMISSION, RBAC, Site, fedctl, site

__all__ = ["site"]


def test_init_installs_and_is_idempotent(site: Site) -> None:
    site.run("init")
    for plural in ("kubefedclusters", "federatedtypeconfigs", "kubefedconfigs"):
        assert site.get("host", site.kubefed(plural)) is not None
    assert site.get("host", site.kubefed("kubefedconfigs", "kubefed")) is not None
    binding = site.get("host", f"{RBAC}/clusterrolebindings/kubefed-controller")
    assert binding is not None
    assert binding["subjects"][0]["namespace"] == site.namespace

    site.run("init")
    again = site.run("init")
    outcomes = {line.rsplit(" ", 1)[1] for line in again.err.splitlines() if line.startswith("host: ")}
    assert outcomes == {"unchanged"}


def test_init_keeps_settings(site: Site) -> None:
    site.run("init")
    where = site.kubefed("kubefedconfigs", "kubefed")
    site.merge("host", where, {"spec": {"clusterHealthCheck": {"period": "7s"}}})
    site.run("init")
    found = site.get("host", where)
    assert found is not None
    assert found["spec"]["clusterHealthCheck"]["period"] == "7s"


def test_a_second_federation_on_the_host_is_warned_of(site: Site) -> None:
    site.run("init")
    other = fedctl(
        "init",
        "--dry-run=server",
        "--kubeconfig",
        str(site.kubeconfig),
        "--context",
        "host",
        "--kubefed-namespace",
        f"{site.namespace}-b",
    )
    assert other.code == 0
    assert f"warning: host: a federation in namespace {site.namespace} was installed before" in other.err


def test_dry_runs_store_nothing(site: Site) -> None:
    client = site.run("init", "--dry-run")
    server = site.run("init", "--dry-run=server")
    assert f"kubefedconfig {site.namespace}/kubefed" in client.err
    assert f"host: kubefedconfig {site.namespace}/kubefed created (dry run)" in server.err
    assert site.get("host", f"/api/v1/namespaces/{site.namespace}") is None


def test_output_is_what_init_applies(site: Site) -> None:
    ran = site.run("init", "-o", "yaml", "--finalizer-policy", "true")
    documents = list(yaml.safe_load_all(ran.out))
    assert [each["kind"] for each in documents].count("CustomResourceDefinition") == 8
    assert site.get("host", f"/api/v1/namespaces/{site.namespace}") is None
    applied = site.run("init", "--finalizer-policy=auto")
    names = [f"{each['kind'].lower()} " for each in documents]
    message = [line for line in applied.err.splitlines() if line.startswith("host: ")]
    assert len(message) == len(names)
    for name, line in zip(names, message, strict=True):
        assert line.startswith(f"host: {name}")


def test_the_api_server_writes_kubefeds_defaults_into_a_config_that_is_created(site: Site) -> None:
    """As KubeFed's webhook did, what is given stays. What init makes is as short as before."""
    site.run("init")
    path = site.kubefed("kubefedconfigs", "kubefed")
    made = site.get("host", path)
    assert made is not None
    assert made["spec"] == {}
    body: dict[str, Any] = {
        "apiVersion": "core.kubefed.io/v1beta1",
        "kind": "KubeFedConfig",
        "metadata": {"name": "other"},
        "spec": {
            "scope": "Namespaced",
            "clusterHealthCheck": {"period": "21s"},
            "featureGates": [{"name": "PushReconciler", "configuration": "Disabled"}],
        },
    }
    for _ in range(50):  # a policy that has just been made is in force a moment later
        spec = site.create("host", path.removesuffix("/kubefed"), body)["spec"]
        if "leaderElect" in spec:
            break
        site.delete("host", site.kubefed("kubefedconfigs", "other"))
        time.sleep(0.1)
    gates = [*body["spec"]["featureGates"], *defaulting.GATES[1:]]
    wanted = {**defaulting.DEFAULTS, "scope": "Namespaced", "featureGates": gates}
    wanted["clusterHealthCheck"] = {**defaulting.DEFAULTS["clusterHealthCheck"], "period": "21s"}
    assert spec == wanted
    bare = {**body, "metadata": {"name": "bare"}}
    del bare["spec"]
    spec = site.create("host", path.removesuffix("/kubefed"), bare)["spec"]
    assert spec == {**defaulting.DEFAULTS, "featureGates": list(defaulting.GATES)}


def test_the_api_server_adds_the_finalizer_where_it_can(site: Site) -> None:
    """When it is asked, under a name of this control plane; kept by the next init, and not where it is not wanted."""
    name = f"kubefed-sync-finalizer.{site.namespace}"
    paths = [
        f"{ADMISSION}/mutatingadmissionpolicies/{name}",
        f"{ADMISSION}/mutatingadmissionpolicybindings/{name}",
    ]
    saying = "from now on host's API server adds the finalizer"
    assert "mutating" not in site.run("init", "--dry-run=server").err
    dry = site.run("init", "--dry-run=server", "--finalizer-policy=auto")
    assert f"host: mutatingadmissionpolicy {name} created (dry run)" in dry.err
    assert site.get("host", paths[0]) is None
    assert saying in site.run("init", "--finalizer-policy=auto").err
    assert all(site.get("host", path) is not None for path in paths)
    bound = site.get("host", paths[1])
    assert bound is not None
    assert bound["spec"]["paramRef"]["namespace"] == site.namespace
    assert f"host: mutatingadmissionpolicy {name} unchanged" in site.run("init").err
    site.delete("host", paths[0])
    assert saying in site.run("init", "--finalizer-policy=auto").err
    assert saying not in site.run("init", "--finalizer-policy=auto").err
    removed = site.run("init", "--finalizer-policy=false")
    assert f"host: mutatingadmissionpolicy {name} deleted" in removed.err
    assert [site.get("host", path) for path in paths] == [None, None]
    assert "mutating" not in site.run("init", "-o", "yaml").out.lower(), "it is not every host that serves it"


def test_init_does_without_the_right_to_the_finalizer_policy(site: Site) -> None:
    every = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    groups = ["", "apiextensions.k8s.io", "rbac.authorization.k8s.io", "core.kubefed.io", "scheduling.kubefed.io"]
    rules = [{**every, "apiGroups": groups}, {"nonResourceURLs": ["*"], "verbs": ["get"]}]
    # Whoever binds the controller's roles needs their rights.
    rules.append({**every, "apiGroups": ["types.kubefed.io"]})
    limited = site.limited("host", rules)
    ran = site.run("init", "--finalizer-policy=auto", kubeconfig=limited)
    assert "warning: host: the API server will not add the finalizer to federated objects" in ran.err
    assert site.get("host", site.kubefed("kubefedconfigs", "kubefed")) is not None
    refused = site.run("init", "--finalizer-policy=true", code=1, kubeconfig=limited)
    assert "mutatingadmissionpolicies" in refused.err


def test_server_that_does_not_answer(site: Site) -> None:
    kubeconfig = site.changed("host", cluster={"server": "https://127.0.0.1:1"})
    ran = site.run("init", code=1, kubeconfig=kubeconfig)
    assert ran.err.startswith("error: host: ")
    assert "cannot connect to https://127.0.0.1:1" in ran.err
    assert "\nnext: " in ran.err


READER = {"apiGroups": ["core.kubefed.io"], "resources": ["kubefedconfigs"], "verbs": ["get"]}


@pytest.mark.parametrize(
    ("rules", "doing", "refused"),
    [
        ([], "get kubefedconfig", "cannot get resource"),
        ([READER], "apply customresourcedefinition", "cannot patch resource"),
    ],
    ids=["none", "to read its settings"],
)
def test_user_without_rights(site: Site, rules: list[dict[str, Any]], doing: str, refused: str) -> None:
    ran = site.run("init", code=1, kubeconfig=site.limited("host", rules))
    assert ran.err.startswith(f"error: host: {doing} ")
    assert refused in ran.err
    assert "next: ask an admin" in ran.err


def test_kubeconfig_from_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{site.directory}/none:{site.kubeconfig}")
    ran = fedctl("init", "--context", "host", "--kubefed-namespace", site.namespace)
    assert ran.code == 0, ran.err
    assert site.get("host", site.kubefed("kubefedconfigs", "kubefed")) is not None


def test_init_deploys_the_controller_when_its_image_is_named(site: Site) -> None:
    """On a host that init has not seen, again without --image, to another version, and not where Helm has it."""
    where = f"/apis/apps/v1/namespaces/{site.namespace}/deployments/kubefed-controller"
    assert f"deployment {site.namespace}/kubefed-controller created (dry run)" in (
        site.run("init", "--image=example.com/federation:0.1.0", "--dry-run=server").err
    )
    assert site.get("host", f"/api/v1/namespaces/{site.namespace}") is None
    first = site.run("init", "--image=example.com/federation:0.1.0")
    assert f"host: deployment {site.namespace}/kubefed-controller created" in first.err
    assert f"host: poddisruptionbudget {site.namespace}/kubefed-controller created" in first.err
    printed = {
        each["kind"]: each
        for each in yaml.safe_load_all(site.run("init", "--image=example.com/federation:0.1.0", "-o", "yaml").out)
    }
    stored = site.get("host", where)
    assert stored is not None
    wanted = printed["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    container = stored["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == wanted["args"]
    assert container["image"] == "example.com/federation:0.1.0"
    assert "deployment" not in site.run("init").err, "without --image it stays as it is"
    assert "warning" not in site.run("version").err

    later = site.run("init", "--image=example.com/federation:0.9.0")
    assert f"host: deployment {site.namespace}/kubefed-controller configured" in later.err
    for ran in (later, site.run("version"), site.run("init")):
        assert "fedctl is 0.1.0, the controller 0.9.0: they do not fit" in ran.err
    assert "do not fit" in json.loads(site.run("version", "-o", "json").out)["skew"]

    site.merge("host", where, {"metadata": {"annotations": {"meta.helm.sh/release-name": "fed"}}})
    refused = site.run("init", "--image=example.com/federation:0.1.0", code=1)
    assert "belongs to the Helm release fed" in refused.err
    assert "next: upgrade it with helm upgrade fed" in refused.err


def test_init_divides_the_clusters_into_shards(site: Site) -> None:
    """With rights and a replica for each; without the flag the number stays; and back to one."""
    where = f"/apis/apps/v1/namespaces/{site.namespace}/deployments/kubefed-controller"
    rights = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{site.namespace}"

    def installed() -> tuple[int, list[str], bool, bool]:
        spec = (site.get("host", where) or {})["spec"]
        arguments = [each for each in spec["template"]["spec"]["containers"][0]["args"] if "shards" in each]
        role, binding = (
            site.get("host", f"{rights}/{plural}/kubefed-controller-shards") for plural in ("roles", "rolebindings")
        )
        return spec["replicas"], arguments, role is not None, binding is not None

    image = "--image=example.com/federation:0.1.0"
    told = site.run("init", "--shards=3").err
    assert "note: host: there is no Deployment: name its image with --image" in told
    assert "start every controller with --shards 3" in told
    assert f"role {site.namespace}/kubefed-controller-shards created" in told, "other ways to start it need the rights"
    site.run("init", image, "--shards=3")
    assert installed() == (3, ["--shards=3"], True, True)
    site.run("init", "--image=example.com/federation:0.1.1")
    assert installed() == (3, ["--shards=3"], True, True), "an upgrade keeps the number"
    site.request("host", "DELETE", f"{rights}/roles/kubefed-controller-shards")
    site.run("init")
    assert installed() == (3, ["--shards=3"], True, True), "what is lost of the rights is brought back"
    told = site.run("init", "--shards=1").err
    assert f"note: host: deployment {site.namespace}/kubefed-controller has 3: name its image" in told
    assert installed() == (3, ["--shards=3"], True, True)
    back = site.run("init", image, "--shards=1").err
    assert f"role {site.namespace}/kubefed-controller-shards deleted" in back
    assert installed() == (2, [], False, False)
    assert "--shards" in site.run("init", image, "--shards=17", code=2).err


def test_init_waits_for_the_controller_when_asked(site: Site) -> None:
    """With what its pods lack when that takes too long. Nothing runs pods here: the test says that they are ready."""
    arguments = ("--image=example.com/federation:0.1.0", "--wait")
    late = site.run("init", *arguments, "--timeout=1s", code=1)
    assert f"deployment {site.namespace}/kubefed-controller is not available: not within 1 s" in late.err
    assert f"next: look at its pods: kubectl --context host -n {site.namespace} describe pods" in late.err

    with concurrent.futures.ThreadPoolExecutor(1) as aside:
        waits = aside.submit(site.run, "init", *arguments, "--timeout=40s")
        while not waits.done():
            pods = (site.get("host", site.in_system("pods")) or {})["items"]
            for each in pods:
                ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
                path = f"{site.in_system('pods', each['metadata']['name'])}/status"
                site.request("host", "PATCH", path, {"status": ready}, kind="application/merge-patch+json")
            time.sleep(0.2)
        assert f"host: deployment {site.namespace}/kubefed-controller is available" in waits.result().err
    assert "--wait goes with --image" in site.run("init", "--wait", code=2).err


def test_crds_alone_are_for_who_installs_by_helm(site: Site) -> None:
    ran = site.run("init", "--crds-only")
    assert {line.split()[1] for line in ran.err.splitlines()} == {"customresourcedefinition"}
    assert site.get("host", f"/api/v1/namespaces/{site.namespace}") is None
    printed = list(yaml.safe_load_all(site.run("init", "--crds-only", "-o", "yaml").out))
    assert len(printed) == len(ran.err.splitlines())
    assert "--crds-only goes with neither" in site.run("init", "--crds-only", "--image=a:1", code=2).err
