"""RBAC and the finalizer policy on a real API server: what the controller, viewers and editors may do at the hub."""

import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from federation.joining import finalizing
from federation.playground.clusters import Playground
from tests.clusters.crds_server import DEFINITIONS, Object, Server
from typegen import discovery, documents, federate, rights, templates
from typegen.model import Generated, Options

NAMESPACE = "federation-rights-test"
CONTROLLER = f"system:serviceaccount:{NAMESPACE}:kubefed-controller"
GROUP = "types.rights.example.com"
GATES = Path(__file__).parents[1] / "unit/typegen/crds/gates.yaml"
WEBSITES = Path(__file__).parents[2] / "e2e/gitops/crds/websites.yaml"
COLLECTIONS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "Role": f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles",
    "RoleBinding": f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings",
    "MutatingAdmissionPolicy": "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings",
}


def put(server: Server, manifests: list[Object]) -> None:
    for manifest in manifests:
        answer = server.apply(COLLECTIONS[manifest["kind"]], manifest)
        assert answer.code in (200, 201), answer.body


def take_away(server: Server, manifests: list[Object]) -> None:
    for manifest in reversed(manifests):
        server.call("DELETE", f"{COLLECTIONS[manifest['kind']]}/{manifest['metadata']['name']}")


def binding(user: str, role: str) -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": user, "namespace": NAMESPACE},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }


@pytest.fixture(scope="module")
def types(playground: Playground, trust: ssl.SSLContext) -> dict[str, Generated]:
    server = Server(playground.clusters["m3"], trust)
    options = Options(federated_group=GROUP)
    known = discovery.resources(server.get("/api/v1"))
    document = server.get("/openapi/v3/api/v1")
    made = {
        name: federate.from_openapi(document, discovery.find(known, name), options)
        for name in ("secrets", "namespaces", "resourcequotas", "endpoints", "configmaps")
    }
    (gate,) = documents.read([str(GATES)])
    asked = Options(federated_group=GROUP, aggregate_to=("view", "edit"))
    (website,) = documents.read([str(WEBSITES)])
    return {
        **made,
        "gates": federate.from_crd(gate.document, asked),
        "websites": federate.from_crd(website.document, options),
    }


@pytest.fixture(scope="module")
def server(playground: Playground, trust: ssl.SSLContext, types: dict[str, Generated]) -> Iterator[Server]:
    server = Server(playground.clusters["m3"], trust)
    definitions = [made.crd for made in types.values()]
    manifests = [
        *templates.documents("host/namespace.yaml", namespace=NAMESPACE),
        *templates.documents("host/rbac.yaml", namespace=NAMESPACE, namespaced=False),
        *templates.documents("host/user-roles.yaml"),
        *(role for made in types.values() for role in rights.host_roles(made)),
        binding("viewer", "view"),
        binding("editor", "edit"),
        binding("admin", "admin"),
    ]
    server.establish(definitions)
    put(server, manifests)
    yield server
    take_away(server, manifests)
    server.remove(definitions)


def may(server: Server, user: str, verb: str, asked: tuple[str, str, str]) -> bool:
    """What the server's authorizer says; `asked` is group, resource[/subresource] and namespace ("" for all)."""
    group, resource, namespace = asked
    plural, _, subresource = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": plural, "subresource": subresource, "namespace": namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": attributes},
    }
    answer = server.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer.body["status"]["allowed"])


@pytest.fixture(scope="module")
def aggregated(server: Server) -> Server:
    """The roles are gathered by kube-controller-manager, a moment after they were made."""
    for _ in range(200):
        if may(server, CONTROLLER, "watch", (GROUP, "federatedgates", "")) and may(
            server, "editor", "create", (GROUP, "federatedgates", NAMESPACE)
        ):
            return server
        time.sleep(0.05)
    raise AssertionError("the ClusterRoles were not aggregated")


@pytest.mark.parametrize(
    ("user", "verb", "asked", "allowed"),
    [
        pytest.param(CONTROLLER, "watch", (GROUP, "federatedsecrets", ""), True, id="controller-watches-its-types"),
        pytest.param(
            CONTROLLER, "patch", (GROUP, "federatedgates/status", "default"), True, id="controller-writes-status"
        ),
        pytest.param(CONTROLLER, "patch", (GROUP, "federatedgates", "default"), True, id="controller-sets-finalizers"),
        pytest.param(
            CONTROLLER, "delete", (GROUP, "federatedgates", "default"), False, id="controller-deletes-nothing"
        ),
        pytest.param(CONTROLLER, "get", ("", "secrets", NAMESPACE), True, id="controller-reads-credentials"),
        pytest.param(CONTROLLER, "patch", ("", "secrets", NAMESPACE), True, id="controller-renews-tokens"),
        pytest.param(CONTROLLER, "get", ("", "secrets", "default"), False, id="controller-reads-no-other-secrets"),
        pytest.param(CONTROLLER, "list", ("", "pods", "default"), False, id="controller-reads-no-workloads"),
        pytest.param(CONTROLLER, "create", ("", "events", "default"), True, id="controller-posts-events"),
        pytest.param(
            CONTROLLER, "patch", ("core.kubefed.io", "kubefedclusters/status", NAMESPACE), True, id="cluster-status"
        ),
        pytest.param(
            CONTROLLER, "patch", ("core.kubefed.io", "federatedtypeconfigs", NAMESPACE), True, id="type-finalizer"
        ),
        pytest.param(
            CONTROLLER, "delete", ("core.kubefed.io", "kubefedclusters", NAMESPACE), False, id="clusters-stay"
        ),
        pytest.param("viewer", "list", (GROUP, "federatedgates", NAMESPACE), True, id="viewer-sees"),
        pytest.param(
            "viewer", "get", (GROUP, "federatednamespaces/status", NAMESPACE), True, id="viewer-sees-namespaces"
        ),
        pytest.param("viewer", "get", (GROUP, "federatedsecrets", NAMESPACE), False, id="viewer-sees-no-secrets"),
        pytest.param("viewer", "patch", (GROUP, "federatedgates", NAMESPACE), False, id="viewer-changes-nothing"),
        pytest.param("editor", "create", (GROUP, "federatedgates", NAMESPACE), True, id="editor-creates"),
        pytest.param("editor", "get", (GROUP, "federatedgates", NAMESPACE), True, id="editor-sees"),
        pytest.param(
            "editor", "patch", (GROUP, "federatedgates/status", NAMESPACE), False, id="editor-writes-no-status"
        ),
        pytest.param("editor", "create", (GROUP, "federatedsecrets", NAMESPACE), True, id="editor-makes-secrets"),
        pytest.param("editor", "create", (GROUP, "federatedconfigmaps", NAMESPACE), True, id="editor-makes-configmaps"),
        pytest.param("viewer", "list", (GROUP, "federatedresourcequotas", NAMESPACE), True, id="viewer-sees-quotas"),
        pytest.param("editor", "patch", (GROUP, "federatedresourcequotas", NAMESPACE), False, id="editor-no-quotas"),
        pytest.param("editor", "delete", (GROUP, "federatedendpoints", NAMESPACE), False, id="editor-no-endpoints"),
        pytest.param("editor", "get", (GROUP, "federatedwebsites", NAMESPACE), False, id="custom-types-when-asked"),
        pytest.param("admin", "create", (GROUP, "federatedwebsites", NAMESPACE), False, id="admins-too"),
        pytest.param(
            "editor", "patch", (GROUP, "federatednamespaces", NAMESPACE), False, id="editor-labels-no-namespaces"
        ),
        pytest.param("editor", "create", (GROUP, "federatedgates", "default"), False, id="editor-elsewhere"),
    ],
)
def test_who_may_do_what(aggregated: Server, user: str, verb: str, asked: tuple[str, str, str], allowed: bool) -> None:
    assert may(aggregated, user, verb, asked) is allowed


def test_init_again_takes_nothing_away(aggregated: Server) -> None:
    put(aggregated, templates.documents("host/rbac.yaml", namespace=NAMESPACE, namespaced=False))
    assert may(aggregated, CONTROLLER, "watch", (GROUP, "federatedgates", ""))


FINALIZER = "kubefed.io/sync-controller"
CONFIGS = "/apis/core.kubefed.io/v1beta1/namespaces/{}/federatedtypeconfigs"
FOLLOWED = {"type": "Ready", "status": "True", "reason": "Following"}
ELSEWHERE = "federation-rights-elsewhere"


def type_config(
    name: str, kind: str, namespace: str = NAMESPACE, propagation: str = "Enabled", **metadata: Any
) -> Object:
    plural, _, group = name.partition(".")
    target = {"group": group, "version": "v1", "kind": kind, "pluralName": plural, "scope": "Namespaced"}
    federated = {"group": GROUP, "version": "v1beta1", "kind": f"Federated{kind}", "scope": "Namespaced"}
    return {
        "apiVersion": "core.kubefed.io/v1beta1",
        "kind": "FederatedTypeConfig",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {
            "targetType": target,
            "federatedType": {**federated, "pluralName": f"federated{plural}"},
            "propagation": propagation,
        },
    }


def enable(server: Server, config: Object, **ready: str) -> None:
    """A FederatedTypeConfig of which the controller has reported that it is followed."""
    path = CONFIGS.format(config["metadata"]["namespace"])
    answer = server.apply(path, config)
    assert answer.code in (200, 201), answer.body
    status: dict[str, Any] = {"status": {"conditions": [{**FOLLOWED, **ready}]}}
    name = config["metadata"]["name"]
    assert server.call("PATCH", f"{path}/{name}/status", status, "merge-patch+json").code == 200


def gates(namespace: str = NAMESPACE) -> str:
    return f"/apis/{GROUP}/v1beta1/namespaces/{namespace}/federatedgates"


def adds(server: Server, path: str, body: Object, expected: bool) -> None:
    """Wait until the server adds the finalizer to a new object, or does not: it learns of changes within a second."""
    for _ in range(200):
        answer = server.create(path, body)
        assert answer.code == 201, answer.body
        if (FINALIZER in finalizers(answer.body)) is expected:
            return
        time.sleep(0.05)
    raise AssertionError(f"{path}: the finalizer is {'not ' if expected else ''}added")


@pytest.fixture(scope="module")
def followed(server: Server) -> Iterator[Server]:
    """The policy of the control plane in NAMESPACE, where gates are enabled."""
    crds = [crd for crd in templates.core_crds() if crd["spec"]["names"]["kind"] == "FederatedTypeConfig"]
    missing = [crd for crd in crds if server.call("GET", f"{DEFINITIONS}/{crd['metadata']['name']}").code == 404]
    server.establish(crds)
    manifests = [
        *templates.documents("host/namespace.yaml", namespace=ELSEWHERE),
        *(dict(each) for each in finalizing.manifests(NAMESPACE, "kubefed-controller")),
    ]
    policy = next(each for each in manifests if each["kind"] == "MutatingAdmissionPolicy")
    policy["spec"]["matchConstraints"]["resourceRules"][0]["apiGroups"] = [GROUP]
    put(server, manifests)
    enable(server, type_config("gates.features.example.com", "Gate"))
    adds(server, gates(), gate("probe"), True)
    yield server
    for config in server.get(CONFIGS.format(NAMESPACE))["items"]:
        server.call("DELETE", f"{CONFIGS.format(NAMESPACE)}/{config['metadata']['name']}")
    take_away(server, manifests)
    server.remove(missing)


@pytest.fixture
def policy(followed: Server) -> Server:
    """Where a test has changed it, gates are enabled again."""
    enable(followed, type_config("gates.features.example.com", "Gate"))
    adds(followed, gates(), gate("probe"), True)
    return followed


def gate(name: str, *held: str, port: int = 80, namespace: str = NAMESPACE) -> Object:
    return {
        "apiVersion": f"{GROUP}/v1beta1",
        "kind": "FederatedGate",
        "metadata": {"name": name, "namespace": namespace, **({"finalizers": list(held)} if held else {})},
        "spec": {"template": {"spec": {"port": port}}},
    }


def finalizers(obj: Object) -> list[str]:
    found: list[str] = obj["metadata"].get("finalizers", [])
    return found


def test_the_policy_keeps_the_finalizer_until_the_controller_takes_it(policy: Server) -> None:
    path = f"/apis/{GROUP}/v1beta1/namespaces/{NAMESPACE}/federatedgates"
    created = policy.apply(path, gate("one", "example.com/own")).body
    assert sorted(finalizers(created)) == ["example.com/own", FINALIZER]
    dropped = policy.apply(path, gate("one")).body
    assert finalizers(dropped) == [FINALIZER], "the user's own goes, ours stays"
    without = {**dropped, "metadata": {**dropped["metadata"], "finalizers": []}}
    assert finalizers(policy.call("PUT", f"{path}/one", without).body) == [FINALIZER]
    assert policy.call("DELETE", f"{path}/one").code == 200
    assert policy.call("GET", f"{path}/one").code == 200, "held until the members are clean"
    release: dict[str, Any] = {"metadata": {"finalizers": []}}
    policy.call("PATCH", f"{path}/one", release, "merge-patch+json")
    assert policy.call("GET", f"{path}/one").code == 404, "nobody gets in the way of a deletion"


def test_the_controller_may_take_the_finalizer_off_a_live_object(policy: Server, aggregated: Server) -> None:
    path = f"/apis/{GROUP}/v1beta1/namespaces/{NAMESPACE}/federatedgates"
    policy.apply(path, gate("two"))
    release: dict[str, Any] = {"metadata": {"finalizers": []}}
    as_user = policy.call("PATCH", f"{path}/two", release, "merge-patch+json")
    assert finalizers(as_user.body) == [FINALIZER]
    as_controller = policy.call("PATCH", f"{path}/two", release, "merge-patch+json", impersonate=CONTROLLER)
    assert finalizers(as_controller.body) == []
    policy.call("DELETE", f"{path}/two")


@pytest.mark.parametrize(
    ("changed", "ready"),
    [
        pytest.param({"propagation": "Disabled"}, {}, id="disabled"),
        pytest.param({}, {"status": "False", "reason": "RightMissing"}, id="not-followed"),
        pytest.param({}, {"reason": "Somehow"}, id="of-an-unknown-reason"),
    ],
)
def test_only_a_type_that_is_followed_gets_it(policy: Server, changed: dict[str, str], ready: dict[str, str]) -> None:
    enable(policy, type_config("gates.features.example.com", "Gate", **changed), **ready)
    adds(policy, gates(), gate("probe"), False)


def test_a_type_that_is_being_deleted_or_gone_does_not_get_it(policy: Server) -> None:
    path = f"{CONFIGS.format(NAMESPACE)}/gates.features.example.com"
    held: dict[str, Any] = {"metadata": {"finalizers": ["example.com/held"]}}
    policy.call("PATCH", path, held, "merge-patch+json")
    policy.call("DELETE", path)
    adds(policy, gates(), gate("probe"), False)
    assert policy.get(path)["metadata"]["deletionTimestamp"]
    held["metadata"]["finalizers"] = []
    policy.call("PATCH", path, held, "merge-patch+json")
    assert policy.call("GET", path).code == 404
    assert finalizers(policy.create(gates(), gate("probe")).body) == []


def test_a_type_of_another_control_plane_does_not_get_it(policy: Server) -> None:
    """It may have a policy of its own, of another name."""
    path = f"{CONFIGS.format(NAMESPACE)}/gates.features.example.com"
    enable(policy, type_config("gates.features.example.com", "Gate", ELSEWHERE))
    policy.call("DELETE", path)
    adds(policy, gates(), gate("probe"), False)
    policy.call("DELETE", path.replace(NAMESPACE, ELSEWHERE))
    assert finalizing.policy_name(NAMESPACE) != finalizing.policy_name(ELSEWHERE)


def test_an_enabled_type_says_nothing_of_another(policy: Server) -> None:
    body = {**gate("probe"), "kind": "FederatedConfigMap", "spec": {"template": {"data": {"a": "b"}}}}
    adds(policy, gates().replace("gates", "configmaps"), body, False)


def test_with_scope_namespaced_it_is_the_own_namespace_alone(policy: Server) -> None:
    config = type_config("gates.features.example.com", "Gate")
    adds(policy, gates(ELSEWHERE), gate("probe", namespace=ELSEWHERE), True)
    enable(policy, config, reason="FollowingNamespace")
    adds(policy, gates(ELSEWHERE), gate("probe", namespace=ELSEWHERE), False)
    adds(policy, gates(), gate("probe"), True)


@pytest.mark.parametrize(
    ("namespace", "name", "expected"),
    [
        pytest.param(ELSEWHERE, ELSEWHERE, True, id="a-namespace"),
        pytest.param(ELSEWHERE, "other", False, id="not-the-name-of-its-namespace"),
        pytest.param("default", "default", False, id="of-every-cluster"),
        pytest.param(NAMESPACE, NAMESPACE, False, id="the-control-planes-own"),
    ],
)
def test_a_namespace_that_is_never_pushed_does_not_get_it(
    policy: Server, namespace: str, name: str, expected: bool
) -> None:
    config = type_config("namespaces", "Namespace")
    config["spec"]["targetType"]["scope"] = "Cluster"
    enable(policy, config)
    path = gates(ELSEWHERE).replace("gates", "namespaces")
    body = {**gate(ELSEWHERE, namespace=ELSEWHERE), "kind": "FederatedNamespace", "spec": {"placement": {}}}
    adds(policy, path, body, True)
    body["metadata"] = {"name": name, "namespace": namespace}
    adds(policy, path.replace(ELSEWHERE, namespace), body, expected)
