"""What a hub has already: a federated CRD, and each of its names, belongs to the target that it was made for."""

import re
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from typegen import cli, federate, installed
from typegen.model import Generated, Options


def target(plural: str, group: str, kind: str, *short: str, scope: str = "Namespaced") -> dict[str, Any]:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    names = {"plural": plural, "kind": kind, "singular": kind.lower(), "shortNames": list(short)}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": scope, "names": names, "versions": [version]},
    }


def made(*described: str, scope: str = "Namespaced", **options: Any) -> Generated:
    plural, group, kind, *short = described
    return federate.from_crd(target(plural, group, kind, *short, scope=scope), Options(**options))


def unrecorded(crd: dict[str, Any], **status: Any) -> dict[str, Any]:
    """As kubefedctl left it, which records no target."""
    return {**crd, "metadata": {"name": crd["metadata"]["name"]}, "status": status}


A = made("widgets", "a.example", "Widget", "wd")
B = made("widgets", "b.example", "Widget", "wd")


@pytest.mark.parametrize(
    ("wanted", "crds", "configs", "reason", "hint"),
    [
        pytest.param(A, [], [], "", "", id="nothing-there"),
        pytest.param(A, [A.crd], [A.type_config], "", "", id="the-same-again"),
        pytest.param(A, [unrecorded(A.crd)], [], "", "", id="left-by-kubefedctl"),
        pytest.param(A, [unrecorded(A.crd)], [A.type_config], "", "", id="enabled-by-kubefedctl"),
        pytest.param(
            B, [A.crd], [], "b.example .* which is the federated type of widgets.a.example already", "", id="recorded"
        ),
        pytest.param(
            A, [B.crd], [], "a.example .* which is the federated type of widgets.b.example already", "", id="reverse"
        ),
        pytest.param(
            B, [unrecorded(A.crd)], [A.type_config], "the federated type of widgets.a.example already", "", id="config"
        ),
        pytest.param(
            A,
            [A.crd],
            [A.type_config, {"spec": {**A.type_config["spec"], "targetType": B.type_config["spec"]["targetType"]}}],
            "the federated type of widgets.b.example already",
            "",
            id="two-configs",
        ),
        pytest.param(
            made("gadgets", "b.example", "Widget"),
            [A.crd],
            [],
            "FederatedWidget, which federatedwidgets.* of widgets.a.example has already",
            "",
            id="the-kind",
        ),
        pytest.param(
            A, [target("federatedwidgets", "types.kubefed.io", "Other")], [], "with the kind Other", "", id="a-stranger"
        ),
        pytest.param(
            made("widgets", "a.example", "Widget", scope="Cluster"),
            [A.crd],
            [],
            "is now Cluster, .* with the scope Namespaced",
            "--delete-crd",
            id="scope",
        ),
        pytest.param(
            made("widgets", "a.example", "Widget", federated_version="v2"),
            [unrecorded(A.crd, storedVersions=["v1beta1"])],
            [],
            "objects stored as types.kubefed.io/v1beta1",
            "--federated-version v1beta1",
            id="stored-version",
        ),
        pytest.param(
            made("widgets", "b.example", "Widget", federated_group="b.types.example"),
            [A.crd],
            [],
            "",
            "",
            id="other-group",
        ),
        pytest.param(A, [{"spec": None}, {"metadata": 3}, {}], [{"spec": {"targetType": []}}], "", "", id="malformed"),
    ],
)
def test_a_federated_crd_is_never_taken_over(
    wanted: Generated, crds: list[dict[str, Any]], configs: list[dict[str, Any]], reason: str, hint: str
) -> None:
    found = installed.hub(crds, configs).conflict(wanted)
    if not reason:
        assert found is None
        return
    assert found is not None
    assert re.search(reason, found.reason), found.reason
    assert hint in found.hint


def test_short_names_stay_with_who_has_them() -> None:
    hub = installed.hub([A.crd], [])
    other = made("windows", "c.example", "Window", "wd", "wn")
    taken = hub.short_names(other.federated)
    assert taken == {"fwd": "federatedwidgets.types.kubefed.io"}
    without = other.without_short_names(taken)
    assert without.crd["spec"]["names"]["shortNames"] == ["fwn"]
    assert without.federated.short_names == ("fwn",)
    assert "short name fwd left out" in str(without.cautions[-1])
    assert other.crd["spec"]["names"]["shortNames"] == ["fwd", "fwn"], "facts are not changed in place"
    assert hub.short_names(A.federated) == {}, "its own"


def test_a_second_crd_of_one_target_is_known() -> None:
    moved = made("widgets", "a.example", "Widget", federated_group="new.example.com")
    assert installed.hub([A.crd], []).others(moved) == ["federatedwidgets.types.kubefed.io"]


def write(*documents: dict[str, Any], arguments: tuple[str, ...] = ()) -> Any:
    return CliRunner().invoke(cli.main, ["write", "-", *arguments], input=yaml.safe_dump_all(documents))


@pytest.mark.parametrize("order", [1, -1])
def test_a_source_that_is_a_hub_says_what_it_has(order: int) -> None:
    """`typegen write --context hub` reads CRDs and FederatedTypeConfigs, here as files."""
    documents = [unrecorded(A.crd), A.type_config, target("widgets", "b.example", "Widget", "wd")][::order]
    refused = write(*documents)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "widgets.b.example would be federated as federatedwidgets.types.kubefed.io" in refused.stderr
    assert "the federated type of widgets.a.example already" in refused.stderr
    assert "--name widgets.b.example=FederatedBWidget" in refused.stderr
    named = write(*documents, arguments=("--name", "widgets.b.example=FederatedBWidget"))
    assert named.exit_code == 0
    crd = next(yaml.safe_load_all(named.stdout))
    assert crd["metadata"]["name"] == "federatedbwidgets.types.kubefed.io"
    assert "shortNames" not in crd["spec"]["names"]
    assert "short name fwd left out, federatedwidgets.types.kubefed.io has it" in named.stderr
