"""`fedctl enable` and `disable` on real control planes: the type at the host, the rights in every member."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.clusters.fedctl import RBAC, Site, hub, site

__all__ = ["hub", "site"]

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def group(site: Site) -> str:
    """A group of federated types that only this test uses."""
    return f"{site.host_name}.example.com"


def enable(site: Site, *types: str, **more: Any) -> Any:
    return site.run("enable", *types, "--federated-group", group(site), **more)


def crd(site: Site, plural: str) -> dict[str, Any] | None:
    return site.get("host", f"{CRDS}/{plural}.{group(site)}")


def discovered(site: Site, name: str) -> None:
    """Wait until `enable` finds the kind of a new CRD: discovery follows its creation by a second or two."""
    for _ in range(60):
        try:
            site.run("enable", name, "--dry-run")
            return
        except AssertionError:
            time.sleep(0.5)
    site.run("enable", name, "--dry-run")


def grants(site: Site, member: str = "m1") -> set[str]:
    """The target types that the member's role allows to patch."""
    role = site.get(member, f"{RBAC}/clusterroles/{site.role(member)}")
    assert role is not None
    return {name for rule in role["rules"] if {"patch", "*"} & set(rule["verbs"]) for name in rule.get("resources", ())}


@pytest.fixture(autouse=True)
def _no_crds_left(site: Site) -> Any:
    yield
    for found in (site.get("host", CRDS) or {})["items"]:
        if found["spec"]["group"].endswith(group(site)):
            site.delete("host", f"{CRDS}/{found['metadata']['name']}")


def test_enable_installs_type_and_widens_every_member(hub: Site) -> None:
    hub.run("join", "m1")
    hub.run("join", "m2")
    assert grants(hub) == set()

    ran = enable(hub, "deploy", "ConfigMap")

    assert ran.out == ""
    for plural in ("federateddeployments", "federatedconfigmaps"):
        made = crd(hub, plural)
        assert made is not None
        assert {each["type"]: each["status"] for each in made["status"]["conditions"]}["Established"] == "True"
    config = hub.get("host", hub.kubefed("federatedtypeconfigs", "deployments.apps"))
    assert config is not None
    assert config["spec"]["propagation"] == "Enabled"
    assert config["spec"]["federatedType"]["group"] == group(hub)
    assert grants(hub, "m1") == grants(hub, "m2") == {"deployments", "configmaps"}
    assert made is not None
    template = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["template"]
    assert "data" in template["properties"]


def test_enable_twice_changes_nothing(hub: Site) -> None:
    hub.run("join", "m1")
    enable(hub, "configmaps")
    ran = enable(hub, "configmaps")
    outcomes = {line.rsplit(" ", 1)[1] for line in ran.err.splitlines() if line.startswith("host: ")}
    assert outcomes == {"unchanged"}
    assert "m1: " not in ran.err


def test_enable_keeps_status_collection_and_turns_propagation_on(hub: Site) -> None:
    enable(hub, "configmaps")
    where = hub.kubefed("federatedtypeconfigs", "configmaps")
    hub.merge("host", where, {"spec": {"statusCollection": "Enabled", "propagation": "Disabled"}})
    enable(hub, "configmaps")
    found = hub.get("host", where)
    assert found is not None
    assert found["spec"]["statusCollection"] == "Enabled"
    assert found["spec"]["propagation"] == "Enabled"


def test_enable_under_other_names_is_refused(hub: Site) -> None:
    enable(hub, "configmaps")
    ran = hub.run("enable", "configmaps", "--federated-group", f"other.{group(hub)}", code=1)
    assert f"enabled as federatedconfigmaps.{group(hub)} already" in ran.err
    assert "fedctl disable configmaps" in ran.err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("deploymens", "did you mean deployments", id="misspelt"),
        pytest.param("tokenreviews", "cannot be watched, applied and deleted", id="not-storable"),
        pytest.param("kubefedclusters", "belongs to the federation itself", id="ours"),
        pytest.param("events", "ambiguous", id="in-two-groups"),
    ],
)
def test_enable_says_why_not(hub: Site, name: str, message: str) -> None:
    ran = enable(hub, name, code=1)
    assert message in ran.err


def test_enable_version_must_be_served(hub: Site) -> None:
    ran = hub.run("enable", "deployments", "--version", "v1beta1", code=1)
    assert "deployments.apps is not served in version v1beta1" in ran.err
    assert "it is in v1" in ran.err


def test_output_prints_and_applies_nothing(hub: Site) -> None:
    ran = enable(hub, "configmaps", "-o", "yaml")
    kinds = [document["kind"] for document in yaml.safe_load_all(ran.out)]
    assert kinds[0] == "CustomResourceDefinition"
    assert kinds[-1] == "FederatedTypeConfig"
    enable(hub, "configmaps", "--dry-run")
    hub.run("join", "m1")
    ran = enable(hub, "configmaps", "--dry-run=server")
    assert f"m1: clusterrole {hub.role('m1')} configured" in ran.err
    assert grants(hub) == set()
    assert crd(hub, "federatedconfigmaps") is None
    assert hub.get("host", hub.kubefed("federatedtypeconfigs", "configmaps")) is None


def test_directive_and_crd_from_one_file(hub: Site) -> None:
    widget = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group(hub)}"},
        "spec": {
            "group": group(hub),
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"size": {"type": "integer"}}}},
                }
            ],
        },
    }
    directive = {
        "apiVersion": "core.kubefed.io/v1beta1",
        "kind": "EnableTypeDirective",
        "metadata": {"name": "configmaps"},
        "spec": {"federatedGroup": group(hub), "federatedVersion": "v1"},
    }
    path = Path(hub.directory, "types.yaml")
    path.write_text(yaml.safe_dump_all([directive, widget]))
    hub.run("enable", "-f", str(path))
    made = crd(hub, "federatedconfigmaps")
    assert made is not None
    assert made["spec"]["versions"][0]["name"] == "v1"
    assert hub.get("host", f"{CRDS}/federatedwidgets.types.kubefed.io")
    assert hub.get("host", hub.kubefed("federatedtypeconfigs", f"widgets.{group(hub)}"))
    hub.run("disable", "-f", str(path), "--delete-crd")
    assert hub.get("host", f"{CRDS}/federatedwidgets.types.kubefed.io") is None
    assert crd(hub, "federatedconfigmaps") is None


def test_member_without_a_context_gets_its_manifest_printed_until_it_is_applied(hub: Site) -> None:
    hub.run("join", "m1")
    ran = enable(hub, "configmaps", code=3, kubeconfig=hub.without("m1"))
    role = yaml.safe_load(ran.out)
    assert role["metadata"]["name"] == hub.role("m1")
    assert "no context of your kubeconfig reaches it" in ran.err
    assert grants(hub) == set()

    # Its admin applies what was printed; then there is nothing left to say.
    code, _ = hub.request(
        "m1",
        "PATCH",
        f"{RBAC}/clusterroles/{hub.role('m1')}?fieldManager=admin&force=true",
        role,
        kind="application/apply-patch+yaml",
    )
    assert code == 200
    ran = enable(hub, "configmaps", kubeconfig=hub.without("m1"))
    assert ran.out == ""


def test_member_that_is_away_does_not_hold_the_others_back(hub: Site) -> None:
    hub.run("join", "m1")
    hub.run("join", "m2")
    ran = enable(hub, "configmaps", code=3, kubeconfig=hub.changed("m1", user={"token": "stale"}))
    assert "warning: m1: the controller's role was not changed: " in ran.err
    assert grants(hub, "m2") == {"configmaps"}
    assert grants(hub, "m1") == set()
    enable(hub, "configmaps")
    assert grants(hub, "m1") == {"configmaps"}


def test_role_with_all_rights_is_left_alone(hub: Site) -> None:
    hub.run("join", "m1", "--rights", "all")
    enable(hub, "configmaps")
    assert grants(hub) == {"*"}
    hub.run("disable", "configmaps")
    assert grants(hub) == {"*"}


def test_enable_without_the_api_says_init(site: Site) -> None:
    ran = site.run("enable", "configmaps", code=1)
    assert "fedctl init" in ran.err


# -- disable ---------------------------------------------------------------------------------------------------------


def test_disable_narrows_and_keeps_the_crd(hub: Site) -> None:
    hub.run("join", "m1")
    enable(hub, "configmaps", "deployments.apps")
    hub.run("disable", "cm")
    assert hub.get("host", hub.kubefed("federatedtypeconfigs", "configmaps")) is None
    assert crd(hub, "federatedconfigmaps") is not None
    assert grants(hub) == {"deployments"}
    hub.run("disable", f"federatedconfigmaps.{group(hub)}", "--delete-crd")  # what the first run left
    assert crd(hub, "federatedconfigmaps") is None
    assert hub.get("host", f"{RBAC}/clusterroles/kubefed:view:federatedconfigmaps.{group(hub)}") is None


def test_crd_with_objects_is_not_deleted(hub: Site) -> None:
    enable(hub, "configmaps")
    path = f"/apis/{group(hub)}/v1beta1/namespaces/{hub.namespace}/federatedconfigmaps"
    body = {
        "apiVersion": f"{group(hub)}/v1beta1",
        "kind": "FederatedConfigMap",
        "metadata": {"name": "settings"},
        "spec": {"template": {"data": {"a": "b"}}},
    }
    code, answer = hub.request(
        "host",
        "PATCH",
        f"{path}/settings?fieldManager=user",
        body | {"metadata": {"name": "settings", "namespace": hub.namespace}},
        kind="application/apply-patch+yaml",
    )
    assert code == 201, answer
    ran = hub.run("disable", "configmaps", "--delete-crd", code=1)
    assert f"such as {hub.namespace}/settings" in ran.err
    assert hub.get("host", hub.kubefed("federatedtypeconfigs", "configmaps")) is not None
    hub.run("disable", "configmaps")
    assert hub.get("host", f"{path}/settings") is not None
    hub.delete("host", f"{path}/settings")
    hub.run("disable", f"federatedconfigmaps.{group(hub)}", "--delete-crd")
    assert crd(hub, "federatedconfigmaps") is None


def test_disable_waits_for_the_controller_to_let_go(hub: Site) -> None:
    hub.run("join", "m1")
    enable(hub, "configmaps")
    where = hub.kubefed("federatedtypeconfigs", "configmaps")
    hub.merge("host", where, {"metadata": {"finalizers": ["core.kubefed.io/federated-type-config"]}})
    ran = hub.run("disable", "configmaps", "--timeout", "0.3", code=1)
    assert "has not removed its finalizer from federatedtypeconfig configmaps" in ran.err
    assert grants(hub) == {"configmaps"}  # while the controller may still push, it keeps its rights
    hub.merge("host", where, {"metadata": {"finalizers": None}})
    hub.run("disable", f"federatedconfigmaps.{group(hub)}", "--delete-crd")
    assert grants(hub) == set()


def test_a_type_left_by_another_federation_is_not_taken_for_ours(hub: Site) -> None:
    for domain in ("one", "two"):
        hub.run("enable", "limitranges", "--federated-group", f"{domain}.{group(hub)}")
        hub.run("disable", "limitranges")
    ran = hub.run("disable", "limitranges", "--delete-crd", code=1)
    assert "several federated types of limitranges are left" in ran.err
    for domain in ("one", "two"):
        name = f"federatedlimitranges.{domain}.{group(hub)}"
        assert name in ran.err
        hub.run("disable", name, "--delete-crd")
        assert hub.get("host", f"{CRDS}/{name}") is None


def test_enable_while_a_disable_is_under_way_outlives_it(hub: Site) -> None:
    enable(hub, "configmaps")
    where = hub.kubefed("federatedtypeconfigs", "configmaps")
    hub.merge("host", where, {"metadata": {"finalizers": ["core.kubefed.io/federated-type-config"]}})
    hub.run("disable", "configmaps", "--timeout", "0.1", code=1)
    controller = threading.Timer(0.5, hub.merge, ("host", where, {"metadata": {"finalizers": None}}))
    controller.start()
    enable(hub, "configmaps")
    controller.join()
    found = hub.get("host", where)
    assert found is not None
    assert "deletionTimestamp" not in found["metadata"]


def test_disable_dry_run_and_unknown_type(hub: Site) -> None:
    enable(hub, "configmaps")
    hub.run("disable", "configmaps", "--dry-run")
    assert hub.get("host", hub.kubefed("federatedtypeconfigs", "configmaps")) is not None
    ran = hub.run("disable", "configmap", "nothings", code=1)
    assert "'nothings' is not an enabled type" in ran.err
    assert hub.get("host", hub.kubefed("federatedtypeconfigs", "configmaps")) is not None


# -- who gets the federated type -------------------------------------------------------------------------------------


def people(hub: Site, plural: str) -> set[str]:
    """Those of Kubernetes' roles that the federated type is aggregated to."""
    found = {}
    for role in ("view", "edit", "admin"):
        found[role] = hub.get("host", f"{RBAC}/clusterroles/kubefed:{role}:{plural}.{group(hub)}")
    return {role for role, made in found.items() if made is not None}


def test_a_type_goes_to_those_of_kubernetes_roles_that_have_it(hub: Site) -> None:
    ran = enable(hub, "configmaps", "resourcequotas", "roles.rbac.authorization.k8s.io")
    assert f"federatedresourcequotas.{group(hub)}: in Kubernetes' roles view (read)" in ran.err
    assert people(hub, "federatedconfigmaps") == {"view", "edit"}
    assert people(hub, "federatedresourcequotas") == {"view"}
    assert people(hub, "federatedroles") == {"admin"}


def test_a_type_that_no_role_has_goes_to_people_when_asked_and_stays_so(hub: Site) -> None:
    ran = enable(hub, "podtemplates")
    assert "in none of Kubernetes' roles view, edit and admin: to add it, use --aggregate-to view,edit" in ran.err
    assert people(hub, "federatedpodtemplates") == set()
    hub.run("enable", "podtemplates", "--federated-group", group(hub), "--aggregate-to", "view,edit")
    assert people(hub, "federatedpodtemplates") == {"view", "edit"}
    ran = enable(hub, "podtemplates")
    assert "as requested" in ran.err
    assert people(hub, "federatedpodtemplates") == {"view", "edit"}, "enabling again takes nothing away"
    hub.run("enable", "podtemplates", "--federated-group", group(hub), "--aggregate-to", "none")
    assert people(hub, "federatedpodtemplates") == set()


def test_what_an_earlier_version_gave_without_being_asked_goes(hub: Site) -> None:
    enable(hub, "limitranges")
    stray = {"metadata": {"name": f"kubefed:edit:federatedlimitranges.{group(hub)}"}, "rules": []}
    hub.create("host", f"{RBAC}/clusterroles", stray)
    ran = enable(hub, "limitranges")
    assert f"clusterrole kubefed:edit:federatedlimitranges.{group(hub)} deleted" in ran.err
    assert people(hub, "federatedlimitranges") == {"view"}


def definition(of: str, kind: str, *short: str) -> dict[str, Any]:
    """A CRD of that kind in that group."""
    plural = f"{kind.lower()}s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{of}"},
        "spec": {
            "group": of,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "shortNames": list(short)},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def written(folder: Path, name: str, *definitions: dict[str, Any]) -> str:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump_all(definitions))
    return str(path)


@pytest.mark.parametrize(("first", "second"), [("a.example", "b.example"), ("b.example", "a.example")])
def test_a_federated_type_is_never_taken_over(hub: Site, tmp_path: Path, first: str, second: str) -> None:
    """Two types of one kind, as core's Service and Knative's: the second is refused however it is asked for."""
    name = f"{CRDS}/federatedgizmos.types.kubefed.io"
    hub.run("enable", "-f", written(tmp_path, "first", definition(first, "Gizmo", "gz")))
    before = hub.get("host", name)
    assert before is not None
    path = written(tmp_path, "second", definition(second, "Gizmo"))
    for arguments in ((), ("--dry-run",), ("-o", "yaml")):
        refused = hub.run("enable", "-f", path, *arguments, code=1)
        assert f"which is the federated type of gizmos.{first} already" in refused.err
        assert "--federated-group" in refused.err
        assert not refused.out
    after = hub.get("host", name)
    assert after is not None
    assert (after["spec"], after["metadata"]["annotations"]) == (before["spec"], before["metadata"]["annotations"])
    assert hub.get("host", hub.kubefed("federatedtypeconfigs", f"gizmos.{second}")) is None

    ran = hub.run("enable", "-f", written(tmp_path, "third", definition("c.example", "Gadget", "gz")))
    assert "short name fgz left out, federatedgizmos.types.kubefed.io has it" in ran.err
    hub.run("disable", f"gizmos.{first}", "gadgets.c.example", "--delete-crd")


def test_two_of_one_kind_in_one_run_are_refused_before_anything_is_written(hub: Site, tmp_path: Path) -> None:
    path = written(tmp_path, "both", definition("a.example", "Gizmo"), definition("b.example", "Gizmo"))
    refused = hub.run("enable", "-f", path, code=1)
    assert "would both have the kind FederatedGizmo" in refused.err
    assert hub.get("host", f"{CRDS}/federatedgizmos.types.kubefed.io") is None


def test_a_federated_crd_that_two_types_use_is_not_deleted(hub: Site, tmp_path: Path) -> None:
    hub.run("enable", "-f", written(tmp_path, "one", definition("a.example", "Gizmo")))
    config = hub.get("host", hub.kubefed("federatedtypeconfigs", "gizmos.a.example"))
    assert config is not None
    target = {**config["spec"]["targetType"], "group": "z.example"}
    other = {
        **{key: config[key] for key in ("apiVersion", "kind")},
        "metadata": {"name": "gizmos.z.example"},
        "spec": {**config["spec"], "targetType": target},
    }
    hub.create("host", hub.kubefed("federatedtypeconfigs"), other)
    refused = hub.run("disable", "gizmos.a.example", "--delete-crd", code=1)
    assert "gizmos.z.example refers to it, too" in refused.err
    hub.delete("host", hub.kubefed("federatedtypeconfigs", "gizmos.z.example"))
    hub.run("disable", "gizmos.a.example", "--delete-crd")


def versions(site: Site, name: str) -> tuple[str, str]:
    """Of the target and of the federated type, as they are enabled."""
    config = site.get("host", site.kubefed("federatedtypeconfigs", name))
    assert config is not None
    return config["spec"]["targetType"]["version"], config["spec"]["federatedType"]["version"]


def test_an_enabled_type_keeps_its_versions(hub: Site) -> None:
    """Its templates were written for them: autoscaling/v1 and v2 have different fields."""
    name = "horizontalpodautoscalers.autoscaling"
    enable(hub, name, "--version", "v1", "--federated-version", "v1alpha1")
    ran = enable(hub, name)
    assert versions(hub, name) == ("v1", "v1alpha1")
    assert "stays in v1, in which it is enabled; --version v2" in ran.err
    made = crd(hub, "federatedhorizontalpodautoscalers")
    assert made is not None
    assert [each["name"] for each in made["spec"]["versions"]] == ["v1alpha1"]
    assert "version: v1\n" in enable(hub, "hpa", "-o", "yaml").out
    enable(hub, "hpa", "--version", "v2")
    assert versions(hub, name) == ("v2", "v1alpha1")
    assert "stays in" not in enable(hub, "hpa").err


def test_a_custom_type_keeps_its_version_while_it_is_served(hub: Site) -> None:
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"size": {"type": "integer"}}}}
    served = [{"name": each, "served": True, "storage": each == "v2", "schema": schema} for each in ("v1", "v2")]
    name = f"gears.{group(hub)}"
    names = {"kind": "Gear", "plural": "gears", "singular": "gear", "listKind": "GearList"}
    spec = {"group": group(hub), "names": names, "scope": "Namespaced", "versions": served}
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name}}
    hub.create("host", CRDS, {**kind, "spec": spec})
    discovered(hub, name)
    path = Path(hub.directory, "gears.yaml")
    directive = {"apiVersion": "core.kubefed.io/v1beta1", "kind": "EnableTypeDirective", "metadata": {"name": name}}
    path.write_text(yaml.safe_dump({**directive, "spec": {"targetVersion": "v1", "federatedGroup": group(hub)}}))
    hub.run("enable", "-f", str(path))
    ran = hub.run("enable", name)
    assert versions(hub, name)[0] == "v1"
    assert "stays in v1, in which it is enabled; --version v2" in ran.err
    path.write_text(yaml.safe_dump({**kind, "spec": spec}))
    hub.run("enable", "-f", str(path))
    assert versions(hub, name)[0] == "v1"
    spec["versions"] = served[1:]
    path.write_text(yaml.safe_dump({**kind, "spec": spec}))
    ran = hub.run("enable", "-f", str(path))
    assert versions(hub, name)[0] == "v2"
    assert "was enabled in v1, which is not served any more; now in v2" in ran.err
    config = hub.get("host", hub.kubefed("federatedtypeconfigs", name))
    assert config is not None
    assert config["spec"]["federatedType"]["group"] == group(hub), "no file of a CRD names one"
