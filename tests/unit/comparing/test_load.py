"""The same seed gives the same objects in the same order, and each object is what its kind wants."""

import base64
import json

import pytest

from federation.comparing import load

APPLICATIONS = [item for each in load.applications(3, 4) for item in each]


def test_the_same_seed_gives_the_same_objects_in_the_same_order() -> None:
    for made in (load.config_maps, load.applications):
        assert made(5, 30) == made(5, 30)
        assert made(5, 30) != made(6, 30)
    bodies = [json.dumps(item.federated("ns", 2, ["a", "b"])) for item in APPLICATIONS]
    again = [item for each in load.applications(3, 4) for item in each]
    assert bodies == [json.dumps(item.federated("ns", 2, ["a", "b"])) for item in again]


def test_names_are_different_and_an_application_has_one_of_each_kind() -> None:
    assert len({item.name for item in APPLICATIONS}) == len(APPLICATIONS) == 16
    for each in load.applications(3, 4):
        assert [item.kind for item in each] == ["Deployment", "Service", "ConfigMap", "Secret"]


@pytest.mark.parametrize("item", APPLICATIONS[:4], ids=lambda item: item.kind)
def test_every_change_changes_what_members_hold(item: load.Item) -> None:
    first, second = item.template(1), item.template(2)
    assert first["metadata"]["annotations"] == {load.VERSION: "version-000001"}
    assert {key: first[key] for key in first if key != "metadata"} != {
        key: second[key] for key in second if key != "metadata"
    }
    assert item.template(1) == first


def test_no_version_is_a_part_of_another() -> None:
    made = [load.version(number) for number in (1, 2, 10, 11, 110, 1011)]
    assert not [(one, other) for one in made for other in made if one != other and one in other]


def test_a_config_map_is_of_about_1_kb_and_a_federated_one_is_for_all_with_an_override_for_the_first() -> None:
    [item] = load.config_maps(1, 1)
    assert 1000 < len(json.dumps(item.template(1))) < 1400
    made = item.federated("ns", 1, ["a", "b"])
    assert made["kind"] == "FederatedConfigMap"
    assert made["spec"]["placement"]["clusters"] == [{"name": "a"}, {"name": "b"}]
    assert [each["clusterName"] for each in made["spec"]["overrides"]] == ["a"]


def test_a_plain_object_is_what_members_hold() -> None:
    for item in APPLICATIONS[:4]:
        plain = item.plain("ns", 1)
        assert plain["kind"] == item.kind
        assert plain["apiVersion"] == ("apps/v1" if item.kind == "Deployment" else "v1")
        assert plain["metadata"]["annotations"] == item.template(1)["metadata"]["annotations"]
    [secret] = [item for item in APPLICATIONS[:4] if item.kind == "Secret"]
    assert len(base64.b64decode(secret.template(1)["data"]["certificate"])) == 1200
