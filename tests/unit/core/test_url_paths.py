"""No word of anybody's becomes another path: every segment is quoted, and what names a version looks like one."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import configuration, manifest
from federation.model import marks
from federation.model.errors import Invalid
from federation.model.federated import FederatedType, Operation, Spec
from federation.model.resources import ObjectName, Resource, segment

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
WIDGETS = Resource("types.kubefed.io", "v1beta1", "FederatedConfigMap", "federatedconfigmaps", namespaced=True)
EVIL = [
    "v1%2Fnamespaces%2Fkube-system%2Fpods%2Fabc%2Fexec?command=sh",
    "v1/namespaces/kube-system/secrets",
    "v1?x=y",
    "v1#",
    "..",
    ".",
    "v1;",
    "v1\r\nHost: x",
    "v1 ",
    "V1",
    "v1.1",
    "1v",
    "-v1",
    "v" * 64,
    "\uff561",
]
_GOOD = {"group": ("v1.1", "v" * 64, "1v"), "kind": ("V1",)}
"""A group may have dots and be longer, a kind begins with a capital letter."""
words = st.text(min_size=1, max_size=30) | st.sampled_from([*EVIL, "\ud800"])


@given(words, words, words, words, words)
def test_a_path_reads_back_as_the_names_it_was_made_of(
    group: str, version: str, plural: str, namespace: str, name: str
) -> None:
    path = Resource(group, version, "Kind", plural, namespaced=True).path(ObjectName(namespace, name))
    assert path.isascii()
    assert path.isprintable()
    parts = urlsplit(f"https://server{path}")
    assert (parts.path, parts.query, parts.fragment) == (path, "", "")
    segments = path.split("/")
    assert not {"", ".", ".."} & set(segments[1:])
    read = [unquote(part) for part in segments]
    clean = [word.encode(errors="replace").decode() for word in (group, version, plural, namespace, name)]
    assert read == ["", "apis", clean[0], clean[1], "namespaces", clean[3], clean[2], clean[4]]


def test_plain_names_stay_as_they_are() -> None:
    assert DEPLOYMENTS.path(ObjectName("ns", "web.v1")) == "/apis/apps/v1/namespaces/ns/deployments/web.v1"
    assert segment("system:node-proxier") == "system:node-proxier"


def test_an_empty_name_is_never_the_collection() -> None:
    with pytest.raises(ValueError, match="empty"):
        CONFIG_MAPS.path(ObjectName("ns", ""))


@pytest.mark.parametrize("version", EVIL)
@pytest.mark.parametrize("target", [CONFIG_MAPS, DEPLOYMENTS], ids=["core", "group"])
def test_a_version_that_is_none_is_refused_by_its_field(target: Resource, version: str) -> None:
    enabled = FederatedType(target.qualified, target, WIDGETS)
    said = f"{target.group}/{version}" if target.group else version
    where = ObjectName("ns", "n")
    with pytest.raises(Invalid) as refused:
        manifest.base(Spec(template={"apiVersion": said}), enabled, where, host_namespace=None)
    assert refused.value.field == "spec.template.apiVersion"
    base = manifest.base(Spec(template={}), enabled, where, host_namespace=None)
    with pytest.raises(Invalid) as refused:
        manifest.finish(base, [Operation("replace", "/apiVersion", said)])
    assert refused.value.field == "clusterOverrides: apiVersion"


@pytest.mark.parametrize("version", EVIL)
def test_equivalent_versions_that_are_none_are_left_out(version: str) -> None:
    read = configuration.type_config(
        {
            "metadata": {
                "name": "widgets.example.com",
                "annotations": {marks.EQUIVALENT_ANNOTATION: f"v1,{version},v2"},
            },
            "spec": {
                "targetType": {"kind": "Widget", "version": "v1", "scope": "Namespaced"},
                "federatedType": {
                    "kind": "FederatedWidget",
                    "version": "v1beta1",
                    "group": "types.kubefed.io",
                    "scope": "Namespaced",
                },
            },
        }
    )
    assert read.equivalent == (("v1", "v1", "v2") if version == "v1 " else ("v1", "v2"))


@pytest.mark.parametrize("version", EVIL)
@pytest.mark.parametrize("kind", ["targetType", "federatedType"])
@pytest.mark.parametrize("field", ["version", "pluralName", "group", "kind"])
def test_a_type_config_with_a_name_that_is_none_is_refused(kind: str, field: str, version: str) -> None:
    if version in _GOOD.get(field, ()):
        return
    target = {"kind": "Widget", "version": "v1", "scope": "Namespaced", "group": "example.com", "pluralName": "widgets"}
    federated = {**target, "kind": "FederatedWidget", "group": "types.kubefed.io", "pluralName": "federatedwidgets"}
    types = {"targetType": target, "federatedType": federated}
    types[kind] = {**types[kind], field: version}
    with pytest.raises(Invalid):
        configuration.type_config({"metadata": {"name": "widgets.example.com"}, "spec": types})
