"""Somebody changes a member's copy: what is ours is put back, what is theirs stays, and "false" keeps us away."""

from typing import Any

import pytest

from federation.model.marks import MANAGED_LABEL
from federation.model.resources import NAMESPACES
from tests.clusters.fleets import Fleet
from tests.clusters.harness import CONFIGMAPS, FEDERATED_CONFIGMAPS, Api, federated_namespace, never
from tests.clusters.steps import Federated, attempt, create, holds, make

pytestmark = pytest.mark.usefixtures("mode")

TEMPLATE = {"metadata": {"labels": {"app": "web"}, "annotations": {"note": "ours"}}, "data": {"a": "b"}}


@pytest.fixture
async def web(host: Api, m1: Api, m2: Api, namespace: str) -> Federated:
    """A federated ConfigMap, settled in m1 and m2."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    return await make(host, FEDERATED_CONFIGMAPS, namespace, "web", TEMPLATE, clusters=["m1", "m2"])


def as_pushed(stored: dict[str, Any]) -> bool:
    """Everything that the template names is as the template says."""
    metadata = stored["metadata"]
    return bool(
        stored.get("data", {}).get("a") == "b"
        and {"app": "web", MANAGED_LABEL: "true"}.items() <= metadata.get("labels", {}).items()
        and metadata.get("annotations", {}).get("note") == "ours"
    )


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param({"data": {"a": "edited"}}, id="a-value-edited"),
        pytest.param({"data": None}, id="all-data-removed"),
        pytest.param({"metadata": {"annotations": {"note": None}}}, id="an-annotation-removed"),
        pytest.param({"metadata": {"labels": {"app": None}}}, id="a-label-removed"),
        pytest.param({"metadata": {"labels": {MANAGED_LABEL: None}}}, id="our-own-label-removed"),
        pytest.param({"metadata": {"labels": None}}, id="all-labels-removed"),
    ],
)
async def test_an_edit_is_put_back(web: Federated, m1: Api, m2: Api, namespace: str, patch: dict[str, Any]) -> None:
    """In its place, in the same object; the other member is not written to, and the status is told no difference."""
    before = await holds(m1, CONFIGMAPS, namespace, "web")
    untouched = await holds(m2, CONFIGMAPS, namespace, "web")
    edited = await m1.patch(CONFIGMAPS, namespace, "web", patch)
    assert not as_pushed(edited)
    stored = await holds(m1, CONFIGMAPS, namespace, "web", as_pushed)
    assert stored["metadata"]["uid"] == before["metadata"]["uid"]
    await web.settled()
    assert await m2.get(CONFIGMAPS, namespace, "web") == untouched


async def test_a_deleted_object_is_made_again(web: Federated, m1: Api, namespace: str) -> None:
    """With a new uid, and Ready in the end."""
    before = await holds(m1, CONFIGMAPS, namespace, "web")
    await m1.delete(CONFIGMAPS, namespace, "web")
    stored = await holds(m1, CONFIGMAPS, namespace, "web", as_pushed)
    assert stored["metadata"]["uid"] != before["metadata"]["uid"]
    await web.settled()


async def test_a_recreated_object_is_adopted_anew(web: Federated, m1: Api, namespace: str) -> None:
    """Deleted and created by hand in one breath: what the hub says is in force in the new object."""
    await m1.delete(CONFIGMAPS, namespace, "web")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"a": "z", "own": "1"}}
    await attempt(m1, CONFIGMAPS, namespace, body)  # the controller may have been quicker
    await holds(m1, CONFIGMAPS, namespace, "web", as_pushed)
    await web.settled()


async def test_foreign_labels_annotations_and_keys_stay(web: Federated, m1: Api, namespace: str) -> None:
    """What the template does not name is the member's, through drift and updates."""
    foreign = {"metadata": {"labels": {"team": "t"}, "annotations": {"seen": "1"}}, "data": {"own": "x"}}
    await m1.patch(CONFIGMAPS, namespace, "web", foreign)
    await web.change({"template": {"data": {"c": "d"}}})
    stored = await holds(m1, CONFIGMAPS, namespace, "web")
    assert stored["data"] == {"a": "b", "c": "d", "own": "x"}
    assert stored["metadata"]["labels"]["team"] == "t"
    assert stored["metadata"]["annotations"]["seen"] == "1"


async def test_a_foreign_change_costs_no_write(web: Federated, m1: Api, namespace: str) -> None:
    """A key of somebody else's is heard and answered with nothing: the object stays as he left it."""
    left = await m1.patch(CONFIGMAPS, namespace, "web", {"data": {"own": "x"}})
    status = (await web.get())["status"]

    async def written() -> bool:
        return await m1.get(CONFIGMAPS, namespace, "web") != left

    await never(written, during=1.0)
    assert (await web.get())["status"] == status


async def test_managed_false_keeps_us_away_until_it_is_undone(web: Federated, m1: Api, m2: Api, namespace: str) -> None:
    """The edit stays, updates pass by and are told, and the label's return puts the template in force."""
    await m1.patch(
        CONFIGMAPS, namespace, "web", {"metadata": {"labels": {MANAGED_LABEL: "false"}}, "data": {"a": "mine"}}
    )
    reported = await web.reports("m1", "ManagedLabelFalse")
    assert MANAGED_LABEL in reported["message"]
    await web.patch({"spec": {"template": {"data": {"new": "1"}}}})
    await holds(m2, CONFIGMAPS, namespace, "web", lambda stored: stored["data"] == {"a": "b", "new": "1"})
    await web.reports("m1", "ManagedLabelFalse")
    kept = await holds(m1, CONFIGMAPS, namespace, "web")
    assert kept["data"] == {"a": "mine"}
    assert kept["metadata"]["labels"][MANAGED_LABEL] == "false"
    await m1.patch(CONFIGMAPS, namespace, "web", {"metadata": {"labels": {MANAGED_LABEL: "true"}}})
    await holds(m1, CONFIGMAPS, namespace, "web", lambda stored: stored["data"] == {"a": "b", "new": "1"})
    await web.settled()


async def test_managed_false_on_a_strangers_object_keeps_it_from_being_adopted(
    host: Api, m1: Api, namespace: str
) -> None:
    """The label was there before us."""
    await federated_namespace(host, namespace, ["m1"])
    await holds(m1, NAMESPACES, "", namespace)
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "web", "labels": {MANAGED_LABEL: "false"}},
        "data": {"a": "mine"},
    }
    await m1.create(CONFIGMAPS, body, namespace)
    web = await create(host, FEDERATED_CONFIGMAPS, namespace, "web", TEMPLATE, clusters=["m1"])
    await web.reports("m1", "ManagedLabelFalse")
    assert (await holds(m1, CONFIGMAPS, namespace, "web"))["data"] == {"a": "mine"}
    await web.delete()
    await web.gone()
    assert (await holds(m1, CONFIGMAPS, namespace, "web"))["data"] == {"a": "mine"}


async def test_drift_while_the_controller_is_down_is_put_back(
    fleet: Fleet, web: Federated, m1: Api, m2: Api, namespace: str
) -> None:
    """An edit and a deletion that nobody watched are found at the start."""
    fleet.controller.kill()
    try:
        await m1.patch(CONFIGMAPS, namespace, "web", {"data": {"a": "edited"}})
        await m2.delete(CONFIGMAPS, namespace, "web")
    finally:
        fleet.controller.start()
    await holds(m1, CONFIGMAPS, namespace, "web", as_pushed)
    await holds(m2, CONFIGMAPS, namespace, "web", as_pushed)
    await web.settled()
