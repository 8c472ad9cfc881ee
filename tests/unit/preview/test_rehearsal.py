"""What a rehearsal answers where a push is several writes, of which a dry run sees only its own."""

from typing import Any

import pytest

from federation.controllers import push
from federation.controllers.outcomes import Target
from federation.core import fieldvalues, manifest
from federation.model import marks
from federation.model.plan import Apply
from federation.model.resources import ObjectName, Resource
from federation.preview.rehearsal import Rehearsal
from tests.fakes import FakeMember, proven
from tests.unit.preview.stage import DryFake
from tests.unit.virtualtime import virtual

CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
WEB = ObjectName("ns", "web")


def content_of(resource: Resource, **content: Any) -> bytes:
    labels = {marks.MANAGED_LABEL: "true"}
    metadata = {"name": "web", "namespace": "ns", "labels": labels}
    body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **content}
    return manifest.digest(body)[0]


def apply(resource: Resource, content: bytes, **more: Any) -> Apply:
    return Apply(content, "digest", resource.api_version, **more)


async def rehearse(member: FakeMember, resource: Resource, action: Apply) -> tuple[Rehearsal, Any]:
    """The rehearsal, and what the push itself then does."""
    port = Rehearsal(DryFake(member))
    said = await push.carry_out(action, Target(port, resource, WEB, prove=proven))
    done = await push.carry_out(action, Target(member, resource, WEB, prove=proven))
    assert (said.status, said.message, said.created) == (done.status, done.message, done.created)
    return port, done


@virtual
async def test_what_follows_a_creation_needs_no_object() -> None:
    """The number of replicas is handed over to the second manager right after the creation."""
    member = FakeMember()
    content = content_of(DEPLOYMENTS, spec={"replicas": 2, "paused": True})
    port, done = await rehearse(member, DEPLOYMENTS, apply(DEPLOYMENTS, content, hand_over=2, first=True))
    assert port.created
    assert port.after is not None
    assert port.after["spec"] == {"replicas": 2, "paused": True}
    assert done.created


@virtual
async def test_what_kubefed_wrote_and_the_manifest_leaves_out_goes() -> None:
    """Its entry becomes ours by a patch; only then does the apply take its fields away."""
    member = FakeMember()
    labels = {marks.MANAGED_LABEL: "true"}
    member.post(
        CONFIGMAPS, WEB, {"metadata": {"labels": labels}, "data": {"a": "old", "b": "old"}}, "controller-manager"
    )
    member.post(CONFIGMAPS, WEB, {"data": {"theirs": "x"}}, "kubectl")
    stored = member.objects[CONFIGMAPS.qualified, WEB]
    action = apply(CONFIGMAPS, content_of(CONFIGMAPS, data={"a": "new"}), uid=stored.uid, legacy=True, first=True)
    port, _ = await rehearse(member, CONFIGMAPS, action)
    assert port.after is not None
    assert port.after["data"] == {"a": "new", "theirs": "x"}
    assert {path[1]: value for path, value in stored.values.items() if path[0] == "data"} == port.after["data"]


@pytest.mark.parametrize(
    ("fields", "value", "left"),
    [
        ({"f:a": {}, "f:b": {}}, {"a": 1}, {"f:b": {}}),
        ({".": {}, "f:a": {".": {}, "f:b": {}}}, {"a": {}}, {"f:a": {"f:b": {}}}),
        ({"f:a": {"f:b": {}}}, {"a": {"b": None}}, {}),
        (
            {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:name": {}}},
            [{"port": 80}],
            {'k:{"port":80,"protocol":"TCP"}': {"f:name": {}}},
        ),
        ({'k:{"name":"c"}': {".": {}, "f:name": {}}}, [{"name": "d"}], {'k:{"name":"c"}': {".": {}, "f:name": {}}}),
        ({'v:"x"': {}, 'v:"y"': {}}, ["y"], {'v:"x"': {}}),
    ],
)
def test_what_a_manifest_does_not_name(fields: dict[str, Any], value: Any, left: dict[str, Any]) -> None:
    assert fieldvalues.unnamed(fields, value) == left
