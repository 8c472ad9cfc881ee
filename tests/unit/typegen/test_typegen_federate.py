"""The federated type as a whole: names, frame, FederatedTypeConfig, descriptions and size, rights on the hub."""

from pathlib import Path
from typing import Any

import pytest

from typegen import definitions, descriptions, documents, federate, names, rights, settings, templates, userroles
from typegen.model import ApiResource, Options, Unusable

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


READ, WRITE = userroles.READ, userroles.WRITE
RBAC = "rbac.authorization.k8s.io"
BOTH = READ + WRITE


class TestRights:
    @pytest.mark.parametrize(
        ("target", "expected"),
        [
            pytest.param(resource("configmaps"), {"view": READ, "edit": WRITE}, id="configmaps"),
            pytest.param(resource("deployments", "apps"), {"view": READ, "edit": WRITE}, id="deployments"),
            pytest.param(resource("secrets"), {"edit": BOTH}, id="secrets"),
            pytest.param(resource("resourcequotas"), {"view": READ}, id="quotas-are-an-admins"),
            pytest.param(resource("limitranges"), {"view": READ}, id="limits-are-an-admins"),
            pytest.param(resource("endpoints"), {"view": READ}, id="endpoints-lead-traffic-elsewhere"),
            pytest.param(resource("endpointslices", "discovery.k8s.io"), {"view": READ}, id="endpointslices"),
            pytest.param(resource("roles", RBAC), {"admin": READ}, id="roles"),
            pytest.param(resource("rolebindings", RBAC), {"admin": READ}, id="rolebindings"),
            pytest.param(resource("namespaces", namespaced=False), {"view": READ}, id="namespaces"),
            pytest.param(resource("clusterroles", RBAC, namespaced=False), {}, id="clusterroles"),
            pytest.param(resource("storageclasses", "storage.k8s.io", namespaced=False), {}, id="cluster-scoped"),
            pytest.param(resource("podtemplates"), {}, id="built-in-that-no-role-holds"),
            pytest.param(resource("appprojects", "argoproj.io"), {}, id="custom"),
            pytest.param(resource("secrets", "example.com"), {}, id="custom-of-a-known-name"),
        ],
    )
    def test_a_role_gets_of_a_federated_type_what_it_holds_of_the_target(
        self, target: ApiResource, expected: dict[str, tuple[str, ...]]
    ) -> None:
        assert userroles.granted(target, None) == expected

    @pytest.mark.parametrize(
        ("target", "asked", "expected"),
        [
            pytest.param(resource("widgets", "example.com"), ("view",), {"view": READ}, id="view-reads"),
            pytest.param(
                resource("widgets", "example.com"), ("view", "edit"), {"view": READ, "edit": BOTH}, id="edit-writes"
            ),
            pytest.param(resource("configmaps"), (), {}, id="none-of-a-built-in-type"),
            pytest.param(resource("roles", RBAC), ("view", "edit", "admin"), {"admin": BOTH}, id="rbac-is-an-admins"),
            pytest.param(resource("nodes", namespaced=False), ("view", "edit"), {}, id="outside-namespaces"),
        ],
    )
    def test_what_is_asked_for_is_given_but_not_what_would_be_more_than_a_role_is(
        self, target: ApiResource, asked: tuple[str, ...], expected: dict[str, tuple[str, ...]]
    ) -> None:
        assert userroles.granted(target, asked) == expected

    @pytest.mark.parametrize(
        ("words", "roles"),
        [
            ([" Edit, view"], ("view", "edit")),
            (["admin", "view"], ("view", "admin")),
            (["none"], ()),
        ],
    )
    def test_roles_as_people_write_them(self, words: list[str], roles: tuple[str, ...]) -> None:
        assert userroles.parse(words, "--aggregate-to") == roles
        assert userroles.parse([userroles.record(roles)], "the annotation") == roles

    @pytest.mark.parametrize("words", [[""], ["edit,none"], ["owner"], ["view edit"]])
    def test_other_words_are_refused(self, words: list[str]) -> None:
        with pytest.raises(Unusable, match=r"^--aggregate-to: .*view, edit, admin"):
            userroles.parse(words, "--aggregate-to")

    def test_the_roles_of_a_type(self) -> None:
        options = Options(aggregate_to=("view", "edit", "admin"))
        made = federate.from_crd(next(iter(documents.read([str(HERE / "crds/shops.yaml")]))).document, options)
        assert made.crd["metadata"]["annotations"][userroles.ANNOTATION] == "view,edit,admin"
        roles = {role["metadata"]["name"]: role for role in rights.host_roles(made)}
        assert tuple(roles) == rights.role_names(made.federated)
        controller = roles["kubefed-controller:federatedshops.types.kubefed.io"]
        assert controller["metadata"]["labels"] == {"rbac.kubefed.io/aggregate-to-controller": "true"}
        assert controller["rules"][0]["verbs"] == ["get", "list", "watch", "patch"]
        edit = roles["kubefed:edit:federatedshops.types.kubefed.io"]
        assert edit["metadata"]["labels"] == {"rbac.authorization.k8s.io/aggregate-to-edit": "true"}
        assert edit["rules"][1]["resources"] == ["federatedshops", "federatedshops/scale"]
        for name in roles:
            for rule in roles[name]["rules"]:
                writes_status = "federatedshops/status" in rule["resources"] and {*rule["verbs"]} & {"patch", "update"}
                assert not writes_status or name.startswith("kubefed-controller:")

    def test_a_custom_type_has_the_controllers_role_only(self) -> None:
        made = federate.generate(definitions.target(GATE, Options()), Options())
        assert userroles.ANNOTATION not in made.crd["metadata"]["annotations"]
        assert [role["metadata"]["name"] for role in rights.host_roles(made)] == [rights.role_names(made.federated)[0]]
        assert "--aggregate-to view,edit" in userroles.describe(made.target, made.aggregate_to)

    def test_settings_ask_for_all_types_and_for_one(self, tmp_path: Path) -> None:
        file = tmp_path / "typegen.yaml"
        file.write_text(
            "sources: [a]\naggregateTo: [none]\nmemberAccount: robot\nscope: Namespaced\n"
            "types: {gates.x.io: {aggregateTo: [edit, view]}}\n"
        )
        found = settings.load(str(file))
        assert (found.options.member_account, found.options.within) == ("robot", "kube-federation-system")
        assert found.options_for("configmaps").aggregate_to == ()
        assert found.options_for("gates.x.io").aggregate_to == ("view", "edit")

    def test_the_members_role_is_bound_to_one_account(self) -> None:
        _, binding = rights.member_role([federate.from_crd(GATE)], "fed", "robot")
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "robot", "namespace": "fed"}]


def test_the_aggregated_role_gathers_by_the_label_that_types_carry() -> None:
    role = next(
        each
        for each in templates.documents("host/rbac.yaml", namespace="fed", namespaced=False)
        if each["kind"] == "ClusterRole" and "aggregationRule" in each
    )
    (selector,) = role["aggregationRule"]["clusterRoleSelectors"]
    made = rights.host_roles(federate.from_crd(GATE))[0]
    assert selector["matchLabels"].items() <= made["metadata"]["labels"].items()
    assert "rules" not in role, "they are the aggregation's; applying them again would empty the role for a moment"
