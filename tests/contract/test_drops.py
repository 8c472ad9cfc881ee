"""What an API server takes, lists in managedFields and does not keep: the ground that core.drops stands on."""

from federation.controllers import push
from federation.core import drops, manifest
from federation.model.failures import Failure
from federation.model.plan import Apply
from federation.model.words import Word
from tests.contract.worlds import DEPLOYMENTS, World
from tests.fakes import FakeMember

GATED = ("spec", "template", "spec", "schedulingGroup", "podGroupName")
"""Behind a feature gate that is off in Kubernetes 1.36 (GenericWorkload)."""


async def test_a_field_behind_a_closed_gate_is_owned_and_not_held(world: World) -> None:
    """The only sign is the object itself. A second manifest of the same form is not looked at again."""
    if isinstance(world.member, FakeMember):
        world.member.drops = {GATED}
    body = world.deployment(replicas=0)
    body["spec"]["template"]["spec"] |= {"schedulingGroup": {"podGroupName": "g"}, "hostNetwork": False}
    content, digest = manifest.digest(body)
    action = Apply(content, digest, DEPLOYMENTS.api_version)
    outcome = await push.carry_out(action, push.Target(world.member, DEPLOYMENTS, world.where))
    assert outcome.word is Word.OK
    gated = ".spec.template.spec.schedulingGroup"
    assert outcome.dropped == f"{drops.TOLD}{gated}: it takes the object and does not keep these fields"
    assert outcome.kept == drops.fields(body) - {gated, f"{gated}.podGroupName"}
    assert outcome.metadata is not None
    assert b"schedulingGroup" in b"".join(bytes(each.fields_v1) for each in outcome.metadata.managed_fields)
    again = await push.carry_out(action, push.Target(world.member, DEPLOYMENTS, world.where, drops.fields(body)))
    assert (again.word, again.dropped, again.kept) == (Word.OK, "", None)
    found = await world.member.read_whole(DEPLOYMENTS, world.where)
    assert not isinstance(found, Failure)
    assert "schedulingGroup" not in str(found["spec"])
