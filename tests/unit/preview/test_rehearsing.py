"""What a member's failure says in a plan: a refusal, or that it is not known."""

from typing import Any

import pytest

from federation.controllers.copies import Copies
from federation.controllers.world import TypeState
from federation.core import manifest
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.plan import Apply, Delete, RemovalReason
from federation.model.resources import Key, ObjectName
from federation.preview import rehearsing
from federation.preview.changes import Change, Kind
from federation.preview.rehearsing import Stage
from tests.fakes import FakeMember
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES
from tests.unit.preview.stage import DryFake
from tests.unit.virtualtime import virtual

WEB = Key("configmaps", "ns", "web")
LABELS = {marks.MANAGED_LABEL: "true"}
METADATA = {"name": "web", "namespace": "ns", "labels": LABELS}
BODY = manifest.digest({"apiVersion": "v1", "kind": "ConfigMap", "metadata": METADATA, "data": {"a": "b"}})[0]
CREATE = Apply(BODY, "digest", "v1", first=True)
WEBHOOK = 'admission webhook "w.example.com" does not support dry run'


def state(cluster: str = "m1") -> TypeState:
    made = TypeState(CONFIGMAPS)
    made.copies[cluster] = Copies()
    return made


async def rehearse(member: FakeMember, action: Any, **more: Any) -> tuple[Change | None, Stage]:
    stage = Stage("m1", DryFake(member), **more)
    return await rehearsing.of_action(stage, state(), WEB, action), stage


@pytest.mark.parametrize(
    ("failure", "own", "kind"),
    [
        (Failure(FailureKind.INVALID, "data.a: no"), True, Kind.REFUSE),
        (Failure(FailureKind.DENIED, "exceeded quota"), True, Kind.REFUSE),
        (Failure(FailureKind.RIGHT_MISSING, "cannot patch"), True, Kind.UNKNOWN),
        (Failure(FailureKind.RIGHT_MISSING, "cannot patch"), False, Kind.REFUSE),
        (Failure(FailureKind.DENIED, WEBHOOK), False, Kind.UNKNOWN),
        (Failure(FailureKind.TIMED_OUT, "no answer within 10 s"), False, Kind.UNKNOWN),
        (Failure(FailureKind.VERSION_CONFLICT, "the object has been modified"), False, Kind.UNKNOWN),
    ],
)
def test_what_a_failure_says(failure: Failure, own: bool, kind: Kind) -> None:
    @virtual
    async def check() -> None:
        member = FakeMember()
        member.fails = lambda verb, name: failure if "apply" in verb else None
        change, stage = await rehearse(member, CREATE, own=own)
        assert change is not None
        assert change.kind is kind
        assert failure.message in change.message
        assert bool(stage.silent) == (failure.kind is FailureKind.TIMED_OUT), "it is not asked any more"

    check()


@virtual
async def test_what_somebody_writes_in_that_moment_is_looked_at_again() -> None:
    member = FakeMember()
    answers = [Failure(FailureKind.VERSION_CONFLICT, "modified")]
    member.fails = lambda verb, name: answers.pop() if "apply" in verb and answers else None
    change, _ = await rehearse(member, CREATE)
    assert change == Change(Kind.CREATE)


@pytest.mark.parametrize(
    ("made", "elsewhere", "kind", "message"),
    [
        (True, None, Kind.CREATE, "quota and policies of it are not checked"),
        (True, Failure(FailureKind.INVALID, "data.a: no"), Kind.REFUSE, "data.a: no"),
        (True, Failure(FailureKind.DENIED, "exceeded quota"), Kind.CREATE, "quota and policies of it are not checked"),
        (True, Failure(FailureKind.RIGHT_MISSING, "cannot patch"), Kind.CREATE, "quota and policies"),
        (False, None, Kind.UNKNOWN, "not found"),
    ],
)
def test_an_object_in_a_namespace_that_the_plan_makes(
    made: bool, elsewhere: Failure | None, kind: Kind, message: str
) -> None:
    @virtual
    async def check() -> None:
        member = FakeMember(namespaces=("default",))
        member.fails = lambda verb, name: elsewhere if name.namespace == "default" else None
        stage = Stage("m1", DryFake(member), made={"ns"} if made else set())
        change = await rehearsing.of_action(stage, state(), WEB, CREATE)
        assert change is not None
        assert change.kind is kind
        assert message in change.message

    check()


@virtual
async def test_a_namespace_goes_with_everything_in_it() -> None:
    member = FakeMember(namespaces=())
    where = ObjectName("", "ns")
    stored = member.post(FEDERATED_NAMESPACES.target, where, {"metadata": {"labels": LABELS}})
    made = TypeState(FEDERATED_NAMESPACES)
    action = Delete(stored.uid, reason=RemovalReason(change="nobody wants it"))
    change = await rehearsing.of_action(
        Stage("m1", DryFake(member)), made, Key(marks.NAMESPACE_TYPE, "ns", "ns"), action
    )
    assert change == Change(Kind.DELETE, message="with everything in it", because="nobody wants it")
    assert (FEDERATED_NAMESPACES.target.qualified, where) in member.objects
