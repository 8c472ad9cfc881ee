"""The loader, and what every template holds to."""

import json
import re
from typing import Any

import jinja2
import pytest

from typegen import templates
from typegen.model import ApiResource

ODD = "on"
"""A name that YAML 1.1 would read as true."""
RULES = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
VALUES: dict[str, dict[str, Any]] = {
    "host/namespace.yaml": {"namespace": ODD},
    "host/config.yaml": {"namespace": ODD, "spec": {}},
    "host/rbac.yaml": {"namespace": ODD, "namespaced": True},
    "host/user-roles.yaml": {},
    "host/pod-disruption-budget.yaml": {"namespace": ODD, "most": 1},
    "host/network-policy.yaml": {"namespace": ODD, "scrapers": [{"ports": [{"port": "metrics"}]}], "egress": {}},
    "host/shards.yaml": {"namespace": ODD},
    "host/deployment.yaml": {"namespace": ODD, "image": "x:1", "replicas": 1, "resources": {}, "pod": {}, "more": ""},
    "host/registration.yaml": {"namespace": ODD, "home": "0123"},
    "host/auto-accept.yaml": {"namespace": ODD},
    "host/finalizer-policy.yaml": {
        "name": ODD,
        "namespace": ODD,
        "group": "types.kubefed.io",
        "controller": "system:serviceaccount:on:c",
        "system": '["kube-system"]',
    },
    "host/config-defaults.yaml": {
        "name": ODD,
        "fields": {"on": {"no": "yes", "off": 1}},
        "gates": [{"name": "on", "configuration": "off"}],
        "installer": ODD,
    },
    "member/rbac.yaml": {"namespace": ODD, "account": "0123", "rules": RULES, "account_rules": RULES},
    "member/token-policy.yaml": {
        "name": ODD,
        "namespace": ODD,
        "account": "0123",
        "binding": {"name": ODD, "uid": "1"},
        "audiences": '["https://kubernetes.default.svc"]',
        "seconds": 1,
    },
    "member/fence.yaml": {
        "name": ODD,
        "namespace": ODD,
        "account": "0123",
        "fenced": '["kube-system"]',
        "only": '["shop"]',
    },
    "work/agent.yaml": {
        "namespace": ODD,
        "rules": RULES,
        "cluster": ODD,
        "image": "x:1",
        "secret": "0123",
        "resources": {},
    },
    "types/federated.yaml": {
        "target": ApiResource("", "v1", "ConfigMap", "configmaps", "configmap", namespaced=True),
        "federated": ApiResource("a.b", "v1", "FederatedConfigMap", "on", "on", namespaced=True, short_names=("no",)),
        "list_kind": "FederatedConfigMapList",
        "columns": [{"name": ODD, "type": "string", "jsonPath": ".spec.template.spec.on"}],
        "selectable": [{"jsonPath": ".spec.template.spec.on"}],
        "scale_path": "",
        "retains_replicas": False,
        "template_optional": False,
        "system_namespace": ODD,
        "equivalent": ("v2", "on"),
        "aggregate_to": "view,edit",
    },
    "types/member-role.yaml": {"namespace": ODD, "account": "0123", "rules": RULES, "role": "Role"},
    "types/roles.yaml": {
        "federated": ApiResource("a.b", "v1", "FederatedConfigMap", "on", "on", namespaced=True),
        "roles": {"view": RULES, "edit": RULES},
        "namespace": ODD,
    },
    **{
        name: {}
        for name in (
            *templates.CORE_CRDS,
            *templates.KUBEFEDS_CRDS,
            *templates.HUB_WORK_CRDS,
            *templates.MEMBER_WORK_CRDS,
        )
    },
}


def test_every_template_is_known_here() -> None:
    assert set(templates.names()) == set(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_renders_to_manifests(name: str) -> None:
    made = templates.documents(name, **VALUES[name])
    assert made
    for document in made:
        assert document["apiVersion"]
        assert document["kind"]
        assert isinstance(document["metadata"]["name"], str)
        assert isinstance(document["metadata"].get("namespace", ""), str)


@pytest.mark.parametrize("name", VALUES)
def test_every_value_is_needed(name: str) -> None:
    for left_out in VALUES[name]:
        values = {key: value for key, value in VALUES[name].items() if key != left_out}
        with pytest.raises(jinja2.UndefinedError, match=left_out):
            templates.render(name, **values)


@pytest.mark.parametrize("name", VALUES)
def test_line_ends_and_ascii(name: str) -> None:
    text = templates.render(name, **VALUES[name])
    assert not re.search(r"[ \t]$", text, re.MULTILINE)
    assert text.endswith("\n")
    assert text.isascii()


def test_an_unknown_template_is_an_error() -> None:
    with pytest.raises(jinja2.TemplateNotFound):
        templates.render("host/nothing.yaml")


def test_documents_are_fresh_each_time() -> None:
    one = templates.documents("host/namespace.yaml", namespace="a")[0]
    one["metadata"]["name"] = "b"
    assert templates.documents("host/namespace.yaml", namespace="a")[0]["metadata"]["name"] == "a"


@pytest.mark.parametrize("text", ["on", "0123", 'a"b', "a: b #c", "ü", "a\\n", "{{x}}"])
def test_quoted_text_comes_back(text: str) -> None:
    namespace = templates.documents("host/namespace.yaml", namespace=text)[0]
    assert namespace["metadata"]["name"] == text


def test_a_block_is_indented_and_text_stands() -> None:
    assert templates.block({"a": [{"b": "on"}]}, 4) == "    a:\n    - b: 'on'"
    assert templates.block("as it is", 4) == "as it is"


@pytest.mark.parametrize(
    "crd", [*templates.core_crds(), *templates.kubefeds_crds()], ids=lambda crd: crd["metadata"]["name"]
)
def test_core_crds_are_small_and_named_right(crd: dict[str, dict[str, object]]) -> None:
    names = crd["spec"]["names"]
    assert isinstance(names, dict)
    assert crd["metadata"]["name"] == f"{names['plural']}.{crd['spec']['group']}"
    assert len(json.dumps(crd)) < 12_500
