"""The federated type as a whole: names, frame, FederatedTypeConfig, descriptions and size, rights on the hub."""

from pathlib import Path
from typing import Any

import pytest

import templates
from typegen import definitions, descriptions, documents, federate, names, rights
from typegen.model import ApiResource, Generated, Options, Unusable

HERE = Path(__file__).parent
GATE = next(iter(documents.read([str(HERE / "crds/gates.yaml")]))).document
DEPLOYMENT = ApiResource(
    "apps", "v1", "Deployment", "deployments", "deployment", namespaced=True, short_names=("deploy",)
)
NAMESPACE = ApiResource("", "v1", "Namespace", "namespaces", "namespace", namespaced=False, short_names=("ns",))


def spec_of(crd: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


class TestNames:
    def test_kubefeds_names(self) -> None:
        made = names.federated(DEPLOYMENT, Options())
        assert (made.kind, made.plural, made.singular) == (
            "FederatedDeployment",
            "federateddeployments",
            "federateddeployment",
        )
        assert (made.api_version, made.short_names) == ("types.kubefed.io/v1beta1", ("fdeploy",))

    def test_irregular_plurals_are_the_targets_own(self) -> None:
        gateway = ApiResource("gateway.networking.k8s.io", "v1", "Gateway", "gateways", "gateway", namespaced=True)
        assert names.federated(gateway, Options()).plural == "federatedgateways"

    def test_federated_namespace_lives_in_a_namespace(self) -> None:
        made = names.federated(NAMESPACE, Options())
        assert (made.namespaced, made.short_names) == (True, ("fns",))

    def test_names_may_be_chosen(self) -> None:
        options = Options(federated_kind="FederatedKnativeService", federated_plural="federatedknativeservices")
        made = names.federated(DEPLOYMENT, options)
        assert (made.kind, made.plural, made.singular) == (
            "FederatedKnativeService",
            "federatedknativeservices",
            "federatedknativeservice",
        )

    @pytest.mark.parametrize(
        ("target", "options", "message"),
        [
            pytest.param(
                ApiResource("a.b", "v1", "K" * 55, "k" * 10, "k", namespaced=True),
                Options(),
                "has 64 characters, Kubernetes allows 63: .* federated_kind",
                id="kind-too-long",
            ),
            pytest.param(
                ApiResource("a.b", "v1", "K", "k" * 55, "k", namespaced=True),
                Options(),
                "has 64 characters, Kubernetes allows 63: .* federated_plural",
                id="plural-too-long",
            ),
            pytest.param(DEPLOYMENT, Options(federated_group="types"), "needs a dot", id="group"),
            pytest.param(DEPLOYMENT, Options(federated_version="V1"), "is not a DNS label", id="version"),
            pytest.param(DEPLOYMENT, Options(federated_plural="a_b"), "is not a DNS label", id="plural"),
            pytest.param(
                DEPLOYMENT, Options(federated_group=".".join(["g" * 60] * 4)), "Kubernetes allows 253", id="crd-name"
            ),
        ],
    )
    def test_what_kubernetes_would_refuse_is_refused(self, target: ApiResource, options: Options, message: str) -> None:
        with pytest.raises(Unusable, match=message):
            names.federated(target, options)

    def test_names_at_their_longest(self) -> None:
        longest = ApiResource("a.b", "v1", "K" * 54, "k" * 54, "k" * 54, namespaced=True)
        assert len(names.federated(longest, Options()).plural) == 63

    def test_priority_is_kubernetes_own(self) -> None:
        versions = [
            "v1alpha1",
            "foo10",
            "v2",
            "v11beta2",
            "v1",
            "v10",
            "v3beta1",
            "foo1",
            "v12alpha1",
            "v10beta3",
            "v11alpha2",
        ]
        assert sorted(versions, key=names.priority) == [
            *(
                "v10",
                "v2",
                "v1",
                "v11beta2",
                "v10beta3",
                "v3beta1",
                "v12alpha1",
                "v11alpha2",
                "v1alpha1",
                "foo1",
                "foo10",
            ),
        ]


class TestFrame:
    def test_the_type_config_says_everything(self) -> None:
        made = federate.from_crd(GATE, Options(system_namespace="fed"))
        assert made.type_config == {
            "apiVersion": "core.kubefed.io/v1beta1",
            "kind": "FederatedTypeConfig",
            "metadata": {"name": "gates.features.example.com", "namespace": "fed"},
            "spec": {
                "federatedType": {
                    "group": "types.kubefed.io",
                    "version": "v1beta1",
                    "kind": "FederatedGate",
                    "pluralName": "federatedgates",
                    "scope": "Namespaced",
                },
                "targetType": {
                    "group": "features.example.com",
                    "version": "v1",
                    "kind": "Gate",
                    "pluralName": "gates",
                    "scope": "Namespaced",
                },
                "propagation": "Enabled",
            },
        }

    def test_template_is_required_but_for_namespaces(self) -> None:
        assert spec_of(federate.from_crd(GATE).crd)["required"] == ["template"]
        document = {
            "openapi": "3.0.0",
            "components": {
                "schemas": {
                    "io.k8s.api.core.v1.Namespace": {
                        "type": "object",
                        "properties": {"spec": {"type": "object"}},
                        "x-kubernetes-group-version-kind": [{"group": "", "kind": "Namespace", "version": "v1"}],
                    }
                }
            },
        }
        made = federate.from_openapi(document, NAMESPACE)
        root = made.crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        assert "required" not in root
        assert "required" not in root["properties"]["spec"]
        assert made.crd["spec"]["scope"] == "Namespaced"
        assert made.type_config["metadata"]["name"] == "namespaces"
        assert made.type_config["spec"]["targetType"]["scope"] == "Cluster"

    @pytest.mark.parametrize(
        ("name", "scale", "retains"),
        [("shops", ".spec.template.spec.size", False), ("gates", None, False)],
    )
    def test_scale_and_retain_replicas(self, name: str, scale: str | None, retains: bool) -> None:
        document = next(iter(documents.read([str(HERE / f"crds/{name}.yaml")]))).document
        crd = federate.from_crd(document).crd
        found = crd["spec"]["versions"][0]["subresources"].get("scale", {})
        assert found.get("specReplicasPath") == scale
        assert ("retainReplicas" in spec_of(crd)["properties"]) is retains

    def test_a_crd_without_schema_is_federated_with_a_caution(self) -> None:
        document = next(iter(documents.read([str(HERE / "crds/blobs.yaml")]))).document
        root = document["spec"]["versions"][0]["schema"]
        root["openAPIV3Schema"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        template = spec_of(federate.from_crd(document).crd)["properties"]["template"]
        assert template["x-kubernetes-preserve-unknown-fields"] is True
        assert template["properties"]["metadata"]["type"] == "object"

    def test_cautions_say_where_in_the_federated_type(self) -> None:
        document = next(iter(documents.read([str(HERE / "crds/policies.yaml")]))).document
        paths = [caution.path for caution in federate.from_crd(document).cautions]
        assert paths == ["spec.template"]

    def test_rules_about_the_name_stand_at_the_federated_root(self) -> None:
        document = next(iter(documents.read([str(HERE / "crds/policies.yaml")]))).document
        crd = federate.from_crd(document).crd
        root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        assert [rule["rule"] for rule in root["x-kubernetes-validations"]] == [
            "self.metadata.name.startsWith('policy-')",
            "self.spec.template.spec.owner != self.metadata.name",
        ]
        assert root["x-kubernetes-validations"][1]["fieldPath"] == ".spec.template.spec.owner"

    def test_twice_is_the_same_and_shares_nothing(self) -> None:
        one, other = federate.from_crd(GATE), federate.from_crd(GATE)
        assert one.manifests == other.manifests
        assert spec_of(one.crd) is not spec_of(other.crd)


def wordy(sentences: int) -> dict[str, Any]:
    text = "It opens. " * sentences + "\n\nAnd closes."
    properties = {f"p{number}": {"type": "string", "description": text} for number in range(1000)}
    document = {**GATE, "spec": {**GATE["spec"], "versions": [dict(GATE["spec"]["versions"][0])]}}
    document["spec"]["versions"][0]["schema"] = {
        "openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}
    }
    return document


class TestDescriptions:
    @pytest.mark.parametrize(
        ("sentences", "chosen"), [pytest.param(3, "", id="small"), pytest.param(40, "cut to a sentence each", id="big")]
    )
    def test_auto_keeps_as_much_as_kubectl_apply_can_store(self, sentences: int, chosen: str) -> None:
        made = federate.from_crd(wordy(sentences))
        assert descriptions.size(made.crd) < descriptions.ANNOTATION_LIMIT
        assert chosen in " ".join(map(str, made.cautions))
        assert bool(made.cautions) is bool(chosen)

    def test_auto_drops_them_when_even_sentences_are_too_many(self) -> None:
        document = wordy(1)
        properties = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        for number in range(1000, 3000):
            properties[f"p{number}"] = {"type": "string", "description": "x" * 150}
        made = federate.from_crd(document)
        assert "descriptions are left out" in str(made.cautions[-1])
        assert descriptions.size(made.crd) < descriptions.ANNOTATION_LIMIT

    def test_too_big_for_kubectl_is_said(self) -> None:
        made = federate.from_crd(wordy(40), Options(descriptions="keep"))
        assert "use kubectl apply --server-side" in str(made.cautions[-1])

    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("One. Two.", "One."),
            ("One e.g. two. Three", "One e.g. two."),
            ("One\ntwo.\n\nThree.", "One two."),
            ("v1.2 is old. New.", "v1.2 is old."),
            ("x" * 200, "x" * 157 + "..."),
            ("", None),
        ],
    )
    def test_the_first_sentence(self, text: str, wanted: str | None) -> None:
        made = descriptions.short(
            {"type": "object", "properties": {"description": {"type": "string", "description": text}}}
        )
        assert made["properties"]["description"].get("description") == wanted

    def test_a_property_called_description_is_no_description(self) -> None:
        schema = {"type": "object", "properties": {"description": {"type": "string"}}, "description": "x"}
        assert descriptions.drop(schema) == {"type": "object", "properties": {"description": {"type": "string"}}}


def resource(plural: str, group: str = "", *, namespaced: bool = True) -> ApiResource:
    return ApiResource(group, "v1", plural.title(), plural, plural, namespaced=namespaced)


class TestRights:
    @pytest.mark.parametrize(
        ("target", "view", "edit"),
        [
            pytest.param(resource("configmaps"), True, True, id="configmaps"),
            pytest.param(resource("deployments", "apps"), True, True, id="deployments"),
            pytest.param(resource("secrets"), False, False, id="secrets"),
            pytest.param(resource("secrets", "example.com"), True, True, id="a-custom-type-called-secrets"),
            pytest.param(resource("roles", "rbac.authorization.k8s.io"), False, False, id="roles"),
            pytest.param(
                resource("clusterroles", "rbac.authorization.k8s.io", namespaced=False), False, False, id="clusterroles"
            ),
            pytest.param(resource("namespaces", namespaced=False), True, False, id="namespaces"),
            pytest.param(
                resource("storageclasses", "storage.k8s.io", namespaced=False), False, False, id="cluster-scoped"
            ),
        ],
    )
    def test_who_may_see_and_change_a_federated_type(self, target: ApiResource, view: bool, edit: bool) -> None:
        assert (rights.may_view(target), rights.may_edit(target)) == (view, edit)

    def test_the_roles_of_a_type(self) -> None:
        made = federate.from_crd(next(iter(documents.read([str(HERE / "crds/shops.yaml")]))).document)
        roles = {role["metadata"]["name"]: role for role in rights.host_roles(made)}
        assert tuple(roles) == rights.role_names(made.federated)
        controller = roles["kubefed-controller:federatedshops.types.kubefed.io"]
        assert controller["metadata"]["labels"] == {"rbac.kubefed.io/aggregate-to-controller": "true"}
        assert controller["rules"][0]["verbs"] == ["get", "list", "watch", "patch"]
        edit = roles["kubefed:edit:federatedshops.types.kubefed.io"]
        assert edit["rules"][0]["resources"] == ["federatedshops", "federatedshops/scale"]

    def test_a_sensitive_type_has_the_controllers_role_only(self) -> None:
        generated = federate.generate(definitions.target(GATE, Options()), Options())
        hidden = Generated(resource("secrets"), generated.federated, generated.crd, generated.type_config)
        assert [role["metadata"]["name"] for role in rights.host_roles(hidden)] == [
            rights.role_names(generated.federated)[0]
        ]


def test_the_aggregated_role_gathers_by_the_label_that_types_carry() -> None:
    role = next(
        each
        for each in templates.documents("host/rbac.yaml", namespace="fed")
        if each["kind"] == "ClusterRole" and "aggregationRule" in each
    )
    (selector,) = role["aggregationRule"]["clusterRoleSelectors"]
    made = rights.host_roles(federate.from_crd(GATE))[0]
    assert selector["matchLabels"].items() <= made["metadata"]["labels"].items()
    assert "rules" not in role, "they are the aggregation's; applying them again would empty the role for a moment"
