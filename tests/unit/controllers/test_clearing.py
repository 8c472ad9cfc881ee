"""When a push looks for what it would leave behind, what it asks, and what becomes of answers that are none.

What API servers answer is shown by tests/contract/test_changes.py; the fake knows one default: a Deployment's replicas.
"""

from typing import Any

import pytest

from federation.controllers import push
from federation.controllers.outcomes import Outcome, Target
from federation.core import manifest
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.failures import Cause, Failure, FailureKind
from federation.model.plan import Apply
from federation.model.resources import ObjectName, Resource
from tests.fakes import FakeMember, proven

DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
WIDGETS = Resource("example.com", "v1", "Widget", "widgets", namespaced=True)
WHERE = ObjectName("ns", "web")
REPLICAS = ("spec", "replicas")


class Pushed:
    def __init__(self, resource: Resource = DEPLOYMENTS) -> None:
        self.member = FakeMember()
        self.resource = resource

    async def __call__(self, *, fully_owned: bool = False, **spec: Any) -> Outcome:
        self.member.calls.clear()
        stored = self.member.objects.get((self.resource.qualified, WHERE))
        meta = {"name": "web", "namespace": "ns", "labels": {marks.MANAGED_LABEL: "true"}}
        kind = {"apiVersion": self.resource.api_version, "kind": self.resource.kind}
        content = {"data": spec} if self.resource is CONFIGMAPS else {"spec": spec}
        body, digest = manifest.digest({"metadata": meta, **kind, **content})
        uid = stored.uid if stored is not None else ""
        action = Apply(body, digest, self.resource.api_version, uid=uid, changed=bool(uid))
        return await push.carry_out(
            action, Target(self.member, self.resource, WHERE, fully_owned=fully_owned, prove=proven)
        )

    def asked(self) -> list[str]:
        return [call.split()[0] for call in self.member.calls]


async def test_a_creation_and_what_is_only_data_pay_nothing() -> None:
    pushed, data = Pushed(), Pushed(CONFIGMAPS)
    await pushed(paused=True)
    assert pushed.asked() == ["apply"]
    await data(a="b")
    await data(a="c")
    assert data.asked() == ["apply"]


async def test_a_change_looks_and_asks_once_where_nothing_is_left_behind() -> None:
    pushed = Pushed()
    await pushed(paused=True)
    outcome = await pushed(paused=False)
    assert pushed.asked() == ["whole", "would-become", "apply"]
    assert (outcome.status, outcome.fully_owned) == (PropagationStatus.OK, False)


async def test_an_object_whose_fields_all_have_owners_is_not_looked_at_again() -> None:
    pushed = Pushed()
    first = await pushed(replicas=2)
    assert first.fully_owned is True
    second = await pushed(replicas=3, paused=True)
    assert pushed.asked() == ["whole", "apply"]
    assert second.fully_owned is True
    await pushed(replicas=2, fully_owned=True)
    assert pushed.asked() == ["apply"]


async def test_a_value_that_does_not_come_back_was_no_default_and_stays() -> None:
    """Somebody's admission put it in, or its owner was wiped: the dry run of the old object does not make it anew."""
    pushed = Pushed()
    await pushed(paused=True)
    stored = pushed.member.objects[DEPLOYMENTS.qualified, WHERE]
    stored.values[REPLICAS] = 7
    await pushed(paused=False)
    assert pushed.asked() == ["whole", "would-become", "would-become", "apply"]
    assert stored.values[REPLICAS] == 7


@pytest.mark.parametrize(
    "refusal",
    [
        Failure(FailureKind.INVALID, "no", 422, "Invalid", (Cause("spec.replicas", "", "FieldValueRequired"),)),
        Failure(FailureKind.INVALID, "no", 422, "Invalid"),
        Failure(FailureKind.DENIED, "webhook does not support dry run", 400),
    ],
    ids=["insists-on-it", "says-nothing", "takes-no-dry-run"],
)
async def test_a_dry_run_that_is_refused_takes_nothing_and_is_not_reported(refusal: Failure) -> None:
    pushed = Pushed()
    await pushed(paused=True)
    pushed.member.fails = lambda verb, name: refusal if verb == "would-become" else None
    outcome = await pushed(paused=False)
    assert (outcome.status, outcome.message) == (PropagationStatus.OK, "")
    assert pushed.asked() == ["whole", "would-become", "apply"]


@pytest.mark.parametrize("verb", ["whole", "would-become"])
async def test_a_member_that_does_not_answer_has_not_been_pushed_to(verb: str) -> None:
    pushed = Pushed()
    await pushed(paused=True)
    silent = Failure(FailureKind.TIMED_OUT, "no answer within 10 s")
    pushed.member.fails = lambda asked, name: silent if asked == verb else None
    outcome = await pushed(paused=False)
    assert (outcome.status, outcome.failure) == (PropagationStatus.UPDATE_TIMED_OUT, silent)
    assert "apply" not in pushed.asked()


async def test_another_object_by_that_name_is_the_applys_to_refuse() -> None:
    pushed = Pushed()
    await pushed(paused=True)
    stored = pushed.member.objects[DEPLOYMENTS.qualified, WHERE]
    answer = pushed.member.read_whole

    async def anew(resource: Resource, name: ObjectName) -> Any:
        stored.uid = "another"
        return await answer(resource, name)

    pushed.member.read_whole = anew  # type: ignore[method-assign]
    outcome = await pushed(paused=False)
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.UID_MISMATCH
    assert pushed.asked() == ["whole", "apply"]


async def test_what_becomes_empty_in_a_custom_type_is_emptied_before_the_apply() -> None:
    """Also where every field has an owner: an apply alone would leave null (tests/contract, gadgets)."""
    pushed = Pushed(WIDGETS)
    await pushed(values={"limits": {"cpu": 1}}, size=1)
    outcome = await pushed(fully_owned=True, values={"limits": {}}, size=2)
    assert pushed.asked() == ["whole", "patch", "apply"]
    assert outcome.status is PropagationStatus.OK
    await pushed(fully_owned=True, values={"limits": {}}, size=3)
    assert pushed.asked() == ["whole", "apply"], "it is empty"
    await pushed(fully_owned=True, size=4)
    assert pushed.asked() == ["apply"]


@pytest.mark.parametrize(
    ("refusal", "asked"),
    [
        pytest.param(Failure(FailureKind.INVALID, "not both", 422, "Invalid"), ["whole", "patch", "apply"], id="half"),
        pytest.param(Failure(FailureKind.VERSION_CONFLICT, "modified", 409), ["whole", "patch"], id="race"),
        pytest.param(Failure(FailureKind.TIMED_OUT, "no answer within 10 s"), ["whole", "patch"], id="silent"),
    ],
)
async def test_an_emptying_that_is_refused(refusal: Failure, asked: list[str]) -> None:
    pushed = Pushed(WIDGETS)
    await pushed(values={"limits": {"cpu": 1}})
    pushed.member.fails = lambda verb, name: refusal if verb == "patch" else None
    outcome = await pushed(fully_owned=True, values={"limits": {}})
    assert pushed.asked() == asked
    assert outcome.failure is (refusal if "apply" not in asked else None)
