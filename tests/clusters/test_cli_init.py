"""`fedctl init` on a real control plane."""

import pytest
import yaml

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
    assert [each["kind"] for each in documents].count("CustomResourceDefinition") == 6
    assert site.get("host", f"/api/v1/namespaces/{site.namespace}") is None
    applied = site.run("init", "--finalizer-policy=auto")
    names = [f"{each['kind'].lower()} " for each in documents]
    message = [line for line in applied.err.splitlines() if line.startswith("host: ")]
    assert len(message) == len(names)
    for name, line in zip(names, message, strict=True):
        assert line.startswith(f"host: {name}")


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


def test_user_without_rights(site: Site) -> None:
    ran = site.run("init", code=1, kubeconfig=site.limited("host", []))
    assert ran.err.startswith("error: host: apply customresourcedefinition federatedrevisions.core.kubefed.io: ")
    assert "cannot patch resource" in ran.err
    assert "next: ask an admin" in ran.err


def test_kubeconfig_from_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{site.directory}/none:{site.kubeconfig}")
    ran = fedctl("init", "--context", "host", "--kubefed-namespace", site.namespace)
    assert ran.code == 0, ran.err
    assert site.get("host", site.kubefed("kubefedconfigs", "kubefed")) is not None
