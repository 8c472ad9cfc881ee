"""What a join builds, which type a name means, and which contexts a kubeconfig has."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from federation.core import naming
from federation.joining import contexts, discovery, fleet, installing, joinplans, kinds, leaving, objects
from federation.joining.contexts import Contexts
from federation.joining.errors import Refused
from federation.joining.objects import Wanted
from federation.kube.endpoint import Endpoint
from federation.kube.tls import Trust
from federation.model.errors import Invalid, Unusable
from federation.model.federated import FederatedType
from federation.model.resources import Resource
from typegen.model import ApiResource


def enabled(plural: str, group: str = "", kind: str = "Thing") -> FederatedType:
    target = Resource(group, "v1", kind, plural, namespaced=True)
    federated = Resource("types.kubefed.io", "v1beta1", f"Federated{kind}", f"federated{plural}", namespaced=True)
    return FederatedType(target.qualified, target, federated)


CONFIGMAPS = enabled("configmaps", kind="ConfigMap")
NODES = FederatedType(
    "nodes",
    Resource("", "v1", "Node", "nodes", namespaced=False),
    Resource("types.kubefed.io", "v1beta1", "FederatedNode", "federatednodes", namespaced=False),
)
DEPLOYMENTS = enabled("deployments", "apps", "Deployment")
INGRESSES = enabled("ingresses", "networking.k8s.io", "Ingress")
OTHER_INGRESSES = enabled("ingresses", "extensions", "Ingress")


def by_kind(manifests: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {manifest["kind"]: manifest for manifest in manifests}


def test_member_manifests_belong_together() -> None:
    wanted = Wanted("east", "host", "sys")
    made = by_kind(objects.member_manifests("sys", wanted.account, [CONFIGMAPS], "types"))
    role = "kubefed-controller-manager:east-host"
    assert set(made) == {"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
    assert made["ServiceAccount"]["metadata"] == {"name": "east-host", "namespace": "sys"}
    for kind in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"):
        assert made[kind]["metadata"]["name"] == role
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        assert made[kind]["roleRef"]["name"] == role
        assert made[kind]["subjects"] == [{"kind": "ServiceAccount", "name": "east-host", "namespace": "sys"}]
    assert made["Role"]["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["serviceaccounts/token"],
            "resourceNames": ["east-host"],
            "verbs": ["create"],
        }
    ]
    assert not objects.has_all_rights(made["ClusterRole"])


def test_in_one_namespace_there_are_roles_alone() -> None:
    made = by_kind(objects.member_manifests("sys", "east-host", [CONFIGMAPS, NODES], "types", namespaced=True))
    assert set(made) == {"Namespace", "ServiceAccount", "Role", "RoleBinding"}
    allowed = {(each["resources"][0], *each.get("resourceNames", ())) for each in made["Role"]["rules"]}
    assert allowed == {("serviceaccounts/token", "east-host"), ("namespaces", "sys"), ("configmaps",)}
    assert objects.role_manifest("sys", "east-host", [CONFIGMAPS], namespaced=True)["kind"] == "Role"
    everything = objects.member_manifests("sys", "east-host", [], "all", namespaced=True)
    assert objects.has_all_rights(objects.role_of(everything))
    assert "ClusterRole" not in by_kind(everything)


def test_what_join_makes_unjoin_looks_for() -> None:
    wanted = Wanted("east", "host", "sys")
    made = objects.member_manifests("sys", wanted.account, [], "types")
    expected = {(each["kind"], each["metadata"]["name"]) for each in made if each["kind"] != "Namespace"}
    assert expected <= {(resource.kind, name.name) for resource, name in leaving.traces("sys", wanted.account)}


def test_rights_all_allows_everything() -> None:
    made = by_kind(objects.member_manifests("sys", "a", [CONFIGMAPS], "all"))
    assert objects.has_all_rights(made["ClusterRole"])


def test_cluster_spec_says_what_the_kubeconfig_says() -> None:
    endpoint = Endpoint("https://east:6443/", Trust(ca=b"PEM"), proxy="http://proxy:3128")
    assert objects.cluster_spec(endpoint, "s") == {
        "apiEndpoint": "https://east:6443",
        "secretRef": {"name": "s"},
        "caBundle": base64.b64encode(b"PEM").decode(),
        "proxyURL": "http://proxy:3128",
    }
    skipping = objects.cluster_spec(Endpoint("https://east:6443", Trust(skip_all=True)), "s")
    assert skipping["disabledTLSValidations"] == ["*"]
    assert "caBundle" not in skipping


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        pytest.param(Endpoint("http://east:8080"), "not https", id="plain-http"),
        pytest.param(Endpoint("https://10.0.0.1", server_name="east"), "tls-server-name east", id="server-name"),
    ],
)
def test_what_a_kubefedcluster_cannot_say_is_refused(endpoint: Endpoint, message: str) -> None:
    with pytest.raises(Unusable, match=message):
        objects.cluster_spec(endpoint, "s")


def test_member_facts_round_through_the_kubefedcluster() -> None:
    wanted = Wanted("east", "host", "sys", labels={"region": "eu"}, rights="all")
    made = objects.cluster_manifest(wanted, objects.cluster_spec(Endpoint("https://east"), "s"), "uid")
    assert fleet.member(made) == fleet.Member("east", "https://east", "s", "uid", "east-host", "all", "sys")
    assert made["metadata"]["labels"] == {"region": "eu"}
    bare = fleet.member({"metadata": {"name": "old"}, "spec": {"apiEndpoint": "https://old/"}})
    assert bare == fleet.Member("old", "https://old", "")


@pytest.mark.parametrize(
    ("data", "holds"),
    [
        pytest.param({"token": base64.b64encode(b"t").decode()}, True, id="token"),
        pytest.param({"kubeconfig": base64.b64encode(b"k").decode()}, True, id="kubeconfig"),
        pytest.param({"token": ""}, False, id="empty"),
        pytest.param({"token": base64.b64encode(b" \n").decode()}, False, id="blank"),
        pytest.param({"token": "###"}, False, id="not-base64"),
        pytest.param({"ca.crt": "eA=="}, False, id="something-else"),
        pytest.param(None, False, id="no-data"),
    ],
)
def test_credentials_that_count(data: dict[str, str] | None, holds: bool) -> None:
    assert fleet.holds_credentials({"data": data}) is holds
    assert fleet.holds_credentials(None) is False


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        pytest.param(Wanted("East", "host"), "NAME", id="name"),
        pytest.param(Wanted("east", "arn:aws:eks/x"), "--host-cluster-name", id="host-context"),
        pytest.param(Wanted("east", "host", "a.b"), "--kubefed-namespace", id="namespace-with-dot"),
        pytest.param(Wanted("east", "host", "n" * 64), "--kubefed-namespace", id="namespace-too-long"),
        pytest.param(Wanted("east", "host", secret_name="_"), "--secret-name", id="secret"),
    ],
)
def test_names_are_checked_before_anything_is_asked(wanted: Wanted, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        joinplans.check(wanted)
    assert refused.value.field == field


def test_long_names_are_cut_apart() -> None:
    first, second = Wanted("a" * 253, "h" * 253), Wanted("a" * 253, "h" * 252)
    assert first.account != second.account
    assert len(first.account) <= 253
    naming.cluster_name(first.account)


def test_labels() -> None:
    assert joinplans.parse_labels(("a=b", "c.d/e=", "f=g.h")) == {"a": "b", "c.d/e": "", "f": "g.h"}


@pytest.mark.parametrize("wrong", ["a", "=b", "", "a b=c", "a=b c", "f=g=h", "/a=b", f"a={'b' * 64}"])
def test_labels_that_the_host_would_refuse_are_refused_before_anything_is_made(wrong: str) -> None:
    with pytest.raises(Invalid) as refused:
        joinplans.parse_labels((wrong,))
    assert refused.value.field == "--label"


def test_init_order_is_what_the_api_needs() -> None:
    kinds_in_order = [each["kind"] for each in installing.manifests("sys")]
    assert kinds_in_order.index("Namespace") > kinds_in_order.index("CustomResourceDefinition")
    assert kinds_in_order[-1] == "KubeFedConfig"
    namespaces = {each["metadata"].get("namespace") for each in installing.manifests("sys")}
    assert namespaces == {None, "sys"}


# -- names of types --------------------------------------------------------------------------------------------------

ALIASES = {
    "deployments.apps": frozenset({"deployment", "deploy"}),
    "federateddeployments.types.kubefed.io": frozenset({"federateddeployment", "fdeploy"}),
}
TYPES = (CONFIGMAPS, DEPLOYMENTS)


@pytest.mark.parametrize(
    "name",
    [
        "deployments",
        "Deployment",
        "deployments.apps",
        "deploy",
        "FederatedDeployment",
        "federateddeployments",
        "federateddeployments.types.kubefed.io",
        "fdeploy",
    ],
)
def test_every_name_of_a_type(name: str) -> None:
    assert kinds.resolve(TYPES, ALIASES, name) is DEPLOYMENTS


def test_unknown_and_ambiguous_types() -> None:
    with pytest.raises(Refused) as refused:
        kinds.resolve(TYPES, ALIASES, "deploymens")
    assert refused.value.hint == "did you mean deployments.apps?"
    with pytest.raises(Refused) as refused:
        kinds.resolve(TYPES, ALIASES, "zebras")
    assert "configmaps, deployments.apps" in refused.value.hint
    both = (INGRESSES, OTHER_INGRESSES)
    with pytest.raises(Refused, match="ambiguous") as refused:
        kinds.resolve(both, {}, "ingress")
    assert refused.value.hint == "name one of ingresses.extensions, ingresses.networking.k8s.io"
    assert kinds.resolve(both, {}, "ingresses.extensions") is OTHER_INGRESSES


def served(*resources: ApiResource, only: tuple[ApiResource, ...] = ()) -> discovery.Served:
    return discovery.Served((*resources, *only), resources)


def api(plural: str, group: str, version: str = "v1", kind: str = "Thing") -> ApiResource:
    return ApiResource(group, version, kind, plural, plural.rstrip("s"), namespaced=True)


DEPLOY_V1, DEPLOY_BETA = api("deployments", "apps"), api("deployments", "apps", "v1beta2")


def test_choose_takes_the_preferred_version_or_the_one_asked_for() -> None:
    known = served(DEPLOY_V1, DEPLOY_BETA)
    assert discovery.choose(known, "deployments") is DEPLOY_V1
    assert discovery.choose(known, "deployments.apps", "v1beta2") is DEPLOY_BETA
    with pytest.raises(Refused) as refused:
        discovery.choose(known, "deployments", "v9")
    assert refused.value.hint == "it is in v1, v1beta2"


def test_metrics_do_not_make_pods_ambiguous() -> None:
    pods, metrics = api("pods", "", kind="Pod"), api("pods", "metrics.k8s.io", kind="PodMetrics")
    assert discovery.choose(served(pods, only=(metrics,)), "pods") is pods


def test_choose_says_why_not() -> None:
    reviews, ours = api("tokenreviews", "authentication.k8s.io"), api("kubefedclusters", "core.kubefed.io")
    known = served(DEPLOY_V1, ours, only=(reviews,))
    for name, message in (("tokenreviews", "cannot be watched"), ("kubefedclusters", "belongs to the federation")):
        with pytest.raises(Refused, match=message):
            discovery.choose(known, name)


# -- kubeconfigs -----------------------------------------------------------------------------------------------------


def kubeconfig(path: Path, *names: str, current: str = "", server: str = "https://{}:6443/") -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": f"c-{name}", "cluster": {"server": server.format(name)}} for name in names],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": name, "context": {"cluster": f"c-{name}", "user": "u"}} for name in names],
        "current-context": current,
    }
    path.write_text(yaml.safe_dump(document))
    return path


def test_contexts_by_name_and_by_address(tmp_path: Path) -> None:
    first = kubeconfig(tmp_path / "a", "host", "east", current="host")
    second = kubeconfig(tmp_path / "b", "east", "west", server="https://other-{}:6443")
    found = Contexts(f"{first}:{second}")
    assert found.name(None) == "host"
    assert found.serving("https://east:6443") == ["east"]
    assert found.serving("https://other-west:6443/") == ["west"]
    assert found.serving("https://other-east:6443") == []  # the first file's context counts
    assert contexts.servers(f"{first}:{tmp_path}/none") == {
        "host": "https://host:6443",
        "east": "https://east:6443",
    }
    assert found.namespace("east") == "default"


@pytest.mark.parametrize(
    ("context", "message"),
    [
        pytest.param("eats", "did you mean 'east'", id="near"),
        pytest.param("zzz", "it has east, host", id="far"),
        pytest.param(None, "no current context", id="none"),
    ],
)
def test_contexts_that_are_not(tmp_path: Path, context: str | None, message: str) -> None:
    path = kubeconfig(tmp_path / "a", "host", "east")
    with pytest.raises(Unusable, match=message):
        Contexts(str(path)).name(context)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("just words", id="text"),
        pytest.param("a: [", id="no-yaml"),
        pytest.param("contexts: 3\nclusters: {}\n", id="wrong-types"),
        pytest.param("contexts:\n- 3\n", id="wrong-entries"),
        pytest.param("contexts:\n- name: a\n", id="context-without-cluster"),
        pytest.param("\t", id="tab"),
        pytest.param("contexts:\n- 3\n- {name: a, context: {cluster: c, user: u}}\n", id="one-wrong-entry"),
        pytest.param("contexts:\n- {name: a, context: {cluster: c, user: u}}\n", id="no-cluster"),
        pytest.param(
            "contexts:\n- {name: a, context: {cluster: c, user: u}}\nclusters:\n- {name: c, cluster: {server: 3}}\n",
            id="no-url",
        ),
    ],
)
async def test_broken_kubeconfigs_are_unusable_and_nothing_else(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken"
    path.write_text(text)
    async with Contexts(str(path)) as found:
        with pytest.raises(Unusable):
            await found.open("a")
