"""What an API server takes, lists in managedFields and does not keep: the ground that core.drops stands on."""

from federation.controllers import push
from federation.controllers.outcomes import Target
from federation.core import drops, manifest
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure
from federation.model.plan import Apply
from tests.contract.worlds import DEPLOYMENTS, World
from tests.fakes import FakeMember, proven

GATED = ("spec", "template", "spec", "schedulingGroup", "podGroupName")
"""Behind a feature gate that is off in Kubernetes 1.36 (GenericWorkload)."""


async def test_a_field_behind_a_closed_gate_is_owned_and_not_held(world: World) -> None:
    """The only sign is the object itself."""
    if isinstance(world.member, FakeMember):
        world.member.drops = {GATED}
    body = world.deployment(replicas=0)
    body["spec"]["template"]["spec"] |= {"schedulingGroup": {"podGroupName": "g"}, "hostNetwork": False}
    content, digest = manifest.digest(body)
    action = Apply(content, digest, DEPLOYMENTS.api_version)
    outcome = await push.carry_out(action, Target(world.member, DEPLOYMENTS, world.where, prove=proven))
    assert outcome.status is PropagationStatus.OK
    gated = ".spec.template.spec.schedulingGroup"
    assert outcome.dropped == f"{drops.LEAVES_OUT}{gated}: it takes the object and does not keep these fields"
    assert outcome.metadata is not None
    assert b"schedulingGroup" in b"".join(bytes(each.fields_v1) for each in outcome.metadata.managed_fields)
    found = await world.member.read_whole(DEPLOYMENTS, world.where)
    assert not isinstance(found, Failure)
    assert "schedulingGroup" not in str(found.content["spec"])
