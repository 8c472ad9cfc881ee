"""Every way an action can go at a member: what is asked of it, in which order, and what came of it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest

from federation.controllers import push
from federation.controllers.outcomes import Contest, Outcome, Target
from federation.core import manifest
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.plan import Apply, Delete, Release
from federation.model.resources import ObjectName, Resource
from tests.fakes import FakeMember, proven

CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
WHERE = ObjectName("ns", "web")
US = "kubefed-0123abcd"
OTHER_HUB = "kubefed-99999999"
MANAGED = {"labels": {marks.MANAGED_LABEL: "true"}}


def body(**content: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "web", "namespace": "ns", **MANAGED},
        **content,
    }


def deployment(**spec: Any) -> dict[str, Any]:
    return {**body(spec=spec), "apiVersion": "apps/v1", "kind": "Deployment"}


def applying(content: Mapping[str, Any], **others: Any) -> Apply:
    encoded, digest = manifest.digest(content)
    return Apply(encoded, digest, str(content["apiVersion"]), **others)


APPLY = applying(body(data={"a": "b"}))


class Pushed:
    """One member, and actions carried out there."""

    def __init__(self, resource: Resource = CONFIGMAPS) -> None:
        self.member = FakeMember(US)
        self.resource = resource

    async def __call__(self, action: Apply | Delete | Release) -> Outcome:
        self.member.calls.clear()
        return await push.carry_out(action, Target(self.member, self.resource, WHERE, prove=proven))

    def value(self, *path: str) -> Any:
        return self.member.value(self.resource, WHERE, *path)

    @property
    def uid(self) -> str:
        return self.member.objects[self.resource.qualified, WHERE].uid

    def owners(self, *path: str) -> list[str]:
        stored = self.member.objects[self.resource.qualified, WHERE]
        return sorted(entry.manager for entry in stored.entries if path in entry.paths)

    def verbs(self) -> list[str]:
        return [call.partition(" ")[0] for call in self.member.calls]


# --- apply ----------------------------------------------------------------------------------------------------------


async def test_created_in_one_request() -> None:
    pushed = Pushed()
    outcome = await pushed(APPLY)
    assert (outcome.status, outcome.failure, outcome.contest) == (PropagationStatus.OK, None, None)
    assert outcome.metadata is not None
    assert outcome.metadata.uid == pushed.uid
    assert pushed.verbs() == ["apply"]
    assert pushed.value("data", "a") == "b"


async def test_updated_in_one_request_and_what_left_the_template_leaves() -> None:
    pushed = Pushed()
    await pushed(APPLY)
    outcome = await pushed(applying(body(data={"c": "d"}), uid=pushed.uid))
    assert (outcome.status, pushed.verbs()) == (PropagationStatus.OK, ["apply"])
    assert (pushed.value("data", "a"), pushed.value("data", "c")) == (None, "d")


async def test_applied_again_nothing_is_written() -> None:
    pushed = Pushed()
    first = await pushed(APPLY)
    again = await pushed(replace(APPLY, uid=pushed.uid))
    assert first.metadata is not None
    assert again.metadata is not None
    assert again.metadata.resource_version == first.metadata.resource_version


async def test_somebodys_change_is_read_then_forced_and_reported() -> None:
    pushed = Pushed()
    await pushed(APPLY)
    pushed.member.post(CONFIGMAPS, WHERE, {"data": {"a": "x", "theirs": "y"}}, manager="kubectl-edit")
    outcome = await pushed(replace(APPLY, uid=pushed.uid))
    assert outcome.status is PropagationStatus.OK
    assert outcome.contest == Contest(("kubectl-edit",), (".data.a",))
    assert pushed.verbs() == ["apply", "apply!"]
    assert (pushed.value("data", "a"), pushed.value("data", "theirs")) == ("b", "y")


async def test_managed_false_is_respected() -> None:
    pushed = Pushed()
    await pushed(APPLY)
    pushed.member.post(CONFIGMAPS, WHERE, {"metadata": {"labels": {marks.MANAGED_LABEL: "false"}}})
    outcome = await pushed(replace(APPLY, uid=pushed.uid))
    assert (outcome.status, outcome.failure) == (PropagationStatus.MANAGED_LABEL_FALSE, None)
    assert pushed.verbs() == ["apply"]
    assert pushed.value("metadata", "labels", marks.MANAGED_LABEL) == "false"


async def test_another_hubs_fields_are_never_taken() -> None:
    pushed = Pushed()
    theirs = orjson.dumps(body(data={"a": "theirs"}))
    await pushed.member.apply(CONFIGMAPS, WHERE, theirs, force=False, manager=OTHER_HUB)
    outcome = await pushed(APPLY)
    assert outcome.status is PropagationStatus.ALREADY_EXISTS
    assert OTHER_HUB in outcome.message
    assert pushed.verbs() == ["apply"]
    assert pushed.value("data", "a") == "theirs"


async def test_another_hub_with_equal_values_is_seen_and_left_alone() -> None:
    """Equal values are co-owned without a conflict; what we took is given back."""
    pushed = Pushed()
    await pushed.member.apply(CONFIGMAPS, WHERE, APPLY.body, force=False, manager=OTHER_HUB)
    outcome = await pushed(APPLY)
    assert outcome.status is PropagationStatus.ALREADY_EXISTS
    assert pushed.verbs() == ["apply", "patch"]
    assert pushed.owners("data", "a") == [OTHER_HUB]
    assert pushed.value("metadata", "labels", marks.MANAGED_LABEL) == "true"


async def test_an_object_of_somebody_else_is_adopted_and_made_ours_alone() -> None:
    pushed = Pushed()
    pushed.member.post(CONFIGMAPS, WHERE, {"data": {"a": "b", "theirs": "y"}}, manager="kubectl-create")
    outcome = await pushed(APPLY)
    assert outcome.status is PropagationStatus.OK
    assert pushed.verbs() == ["apply", "patch"]
    assert pushed.owners("data", "a") == [US]
    assert pushed.owners("data", "theirs") == ["kubectl-create"]
    await pushed(applying(body(data={}), uid=pushed.uid))
    assert (pushed.value("data", "a"), pushed.value("data", "theirs")) == (None, "y")


async def test_adoption_that_half_succeeds_is_reported() -> None:
    pushed = Pushed()
    pushed.member.post(CONFIGMAPS, WHERE, {"data": {"a": "b"}})
    unavailable = Failure(FailureKind.UNAVAILABLE, "503", 503)
    pushed.member.fails = lambda verb, name: unavailable if verb == "patch" else None
    outcome = await pushed(APPLY)
    assert (outcome.status, outcome.failure) == (PropagationStatus.UPDATE_FAILED, unavailable)
    assert outcome.metadata is not None


async def test_with_adoption_disabled_an_object_of_somebody_else_stays() -> None:
    pushed = Pushed()
    pushed.member.post(CONFIGMAPS, WHERE, {"data": {"a": "x"}})
    outcome = await pushed(replace(APPLY, create_only=True))
    assert (outcome.status, outcome.failure) == (PropagationStatus.ALREADY_EXISTS, None)
    assert "adoption is disabled" in outcome.message
    assert pushed.verbs() == ["apply", "read"]
    assert pushed.value("data", "a") == "x"
    assert pushed.owners("data", "a") == ["human"]


async def test_with_adoption_disabled_one_that_is_ours_without_its_label_is_taken_up() -> None:
    pushed = Pushed()
    await pushed(APPLY)
    pushed.member.unset(CONFIGMAPS, WHERE, ("metadata", "labels", marks.MANAGED_LABEL))
    outcome = await pushed(replace(APPLY, create_only=True))
    assert outcome.status is PropagationStatus.OK
    assert pushed.verbs() == ["apply", "read", "apply"]
    assert pushed.value("metadata", "labels", marks.MANAGED_LABEL) == "true"


async def test_with_adoption_disabled_an_absent_object_is_created() -> None:
    pushed = Pushed()
    outcome = await pushed(replace(APPLY, create_only=True))
    assert (outcome.status, pushed.verbs()) == (PropagationStatus.OK, ["apply"])


async def test_an_object_gone_before_it_could_be_read_is_a_race() -> None:
    pushed = Pushed()
    exists = Failure(FailureKind.VERSION_CONFLICT, "modified", 409)
    pushed.member.fails = lambda verb, name: exists if verb == "apply" else None
    outcome = await pushed(replace(APPLY, create_only=True))
    assert outcome.failure is not None
    assert outcome.failure.concerns == "race"


@pytest.mark.parametrize(
    ("kind", "uid", "status"),
    [
        pytest.param(FailureKind.TIMED_OUT, "", PropagationStatus.CREATION_TIMED_OUT, id="create-timed-out"),
        pytest.param(FailureKind.TIMED_OUT, "uid-1", PropagationStatus.UPDATE_TIMED_OUT, id="update-timed-out"),
        pytest.param(FailureKind.INVALID, "", PropagationStatus.CREATION_FAILED, id="create-refused"),
        pytest.param(FailureKind.INVALID, "uid-1", PropagationStatus.UPDATE_FAILED, id="update-refused"),
        pytest.param(FailureKind.TYPE_MISSING, "", PropagationStatus.VERSION_UNAVAILABLE, id="no-such-type"),
    ],
)
async def test_refusals_are_reported_in_kubefeds_words(kind: FailureKind, uid: str, status: PropagationStatus) -> None:
    pushed = Pushed()
    failure = Failure(kind, "no", 500)
    pushed.member.fails = lambda verb, name: failure
    outcome = await pushed(replace(APPLY, uid=uid))
    assert (outcome.status, outcome.failure, outcome.message) == (status, failure, "no")
    assert pushed.verbs() == ["apply"]


async def test_a_forced_apply_may_be_refused_too() -> None:
    pushed = Pushed()
    await pushed(APPLY)
    pushed.member.post(CONFIGMAPS, WHERE, {"data": {"a": "x"}})
    denied = Failure(FailureKind.DENIED, "quota", 403)
    pushed.member.fails = lambda verb, name: denied if verb == "apply!" else None
    outcome = await pushed(replace(APPLY, uid=pushed.uid))
    assert (outcome.status, outcome.contest) == (PropagationStatus.UPDATE_FAILED, None)


async def test_one_that_was_created_anew_is_not_taken_for_the_old() -> None:
    pushed = Pushed()
    await pushed(APPLY)
    old = pushed.uid
    pushed.member.remove(CONFIGMAPS, WHERE)
    gone = await pushed(replace(APPLY, uid=old))
    pushed.member.post(CONFIGMAPS, WHERE, {"data": {"a": "x"}})
    anew = await pushed(replace(APPLY, uid=old))
    for outcome in (gone, anew):
        assert outcome.failure is not None
        assert outcome.failure.kind is FailureKind.UID_MISMATCH
    assert pushed.value("data", "a") == "x"


async def test_a_manifests_own_version_is_where_it_goes() -> None:
    assert push.at_version(DEPLOYMENTS, "apps/v1") is DEPLOYMENTS
    assert (
        push.at_version(DEPLOYMENTS, "apps/v1beta2").path(WHERE) == "/apis/apps/v1beta2/namespaces/ns/deployments/web"
    )
    assert push.at_version(CONFIGMAPS, "v2").path(WHERE) == "/api/v2/namespaces/ns/configmaps/web"


# --- what KubeFed made ------------------------------------------------------------------------------------------------


async def test_kubefeds_entry_becomes_ours_and_removed_fields_go() -> None:
    pushed = Pushed()
    pushed.member.post(CONFIGMAPS, WHERE, {"metadata": MANAGED, "data": {"a": "b", "old": "x"}}, "controller-manager")
    outcome = await pushed(replace(APPLY, uid=pushed.uid, legacy=True))
    assert outcome.status is PropagationStatus.OK
    assert pushed.verbs() == ["read", "patch", "apply"]
    assert (pushed.value("data", "a"), pushed.value("data", "old")) == ("b", None)


@pytest.mark.parametrize("at", ["read", "patch"])
async def test_a_take_over_that_fails_changes_nothing(at: str) -> None:
    pushed = Pushed()
    pushed.member.post(CONFIGMAPS, WHERE, {"metadata": MANAGED, "data": {"old": "x"}}, "controller-manager")
    stale = Failure(FailureKind.VERSION_CONFLICT, "modified", 409)
    pushed.member.fails = lambda verb, name: stale if verb == at else None
    outcome = await pushed(replace(APPLY, uid=pushed.uid, legacy=True))
    assert (outcome.status, outcome.failure) == (PropagationStatus.UPDATE_FAILED, stale)
    assert pushed.value("data", "old") == "x"


async def test_nothing_of_kubefeds_left_to_take_over() -> None:
    pushed = Pushed()
    await pushed(APPLY)
    await pushed(replace(APPLY, uid=pushed.uid, legacy=True))
    assert pushed.verbs() == ["read", "apply"]


# --- replicas ---------------------------------------------------------------------------------------------------------

CREATE_3 = applying(deployment(replicas=3, paused=True), hand_over=3, retain_replicas=True)
UPDATE = applying(deployment(paused=False), retain_replicas=True)
REPLICAS = ("spec", "replicas")


async def test_replicas_are_handed_over_right_after_creation() -> None:
    pushed = Pushed(DEPLOYMENTS)
    outcome = await pushed(CREATE_3)
    assert outcome.status is PropagationStatus.OK
    assert pushed.verbs() == ["apply", "apply-replicas"]
    await pushed(replace(UPDATE, uid=pushed.uid))
    assert (pushed.value(*REPLICAS), pushed.owners(*REPLICAS)) == (3, [f"{US}-replicas"])


async def test_without_a_hand_over_they_would_be_lost() -> None:
    """The reason for all this, and that the fake knows it."""
    pushed = Pushed(DEPLOYMENTS)
    await pushed(replace(CREATE_3, hand_over=None))
    await pushed(replace(UPDATE, uid=pushed.uid))
    assert pushed.value(*REPLICAS) == 1


async def test_an_autoscalers_number_survives_updates() -> None:
    pushed = Pushed(DEPLOYMENTS)
    await pushed(CREATE_3)
    pushed.member.post(DEPLOYMENTS, WHERE, {"spec": {"replicas": 7}}, manager="hpa")
    outcome = await pushed(replace(UPDATE, uid=pushed.uid, hand_over=3))
    assert outcome.status is PropagationStatus.OK
    assert (pushed.value(*REPLICAS), pushed.owners(*REPLICAS)) == (7, ["hpa"])


async def test_retention_switched_on_later_hands_over_what_was_last_applied() -> None:
    """The template's number differs from the last applied one: our own entry conflicts, and the object is read."""
    pushed = Pushed(DEPLOYMENTS)
    await pushed(applying(deployment(replicas=3, paused=True)))
    outcome = await pushed(replace(UPDATE, uid=pushed.uid, hand_over=5))
    assert outcome.status is PropagationStatus.OK
    assert pushed.verbs() == ["apply-replicas", "replicas", "apply-replicas", "apply"]
    assert pushed.value(*REPLICAS) == 3


async def test_a_hand_over_that_fails_holds_the_update_back() -> None:
    pushed = Pushed(DEPLOYMENTS)
    await pushed(applying(deployment(replicas=3)))
    unavailable = Failure(FailureKind.UNAVAILABLE, "503", 503)
    pushed.member.fails = lambda verb, name: unavailable if verb == "apply-replicas" else None
    outcome = await pushed(replace(UPDATE, uid=pushed.uid, hand_over=3))
    assert (outcome.status, outcome.failure) == (PropagationStatus.FIELD_RETENTION_FAILED, unavailable)
    assert pushed.verbs() == ["apply-replicas"]
    assert pushed.value(*REPLICAS) == 3


async def test_a_hand_over_that_fails_after_creation_tells_of_both() -> None:
    pushed = Pushed(DEPLOYMENTS)
    unavailable = Failure(FailureKind.UNAVAILABLE, "503", 503)
    pushed.member.fails = lambda verb, name: unavailable if verb == "apply-replicas" else None
    outcome = await pushed(CREATE_3)
    assert (outcome.status, outcome.failure) == (PropagationStatus.FIELD_RETENTION_FAILED, unavailable)
    assert outcome.metadata is not None


async def test_the_number_cannot_be_read() -> None:
    pushed = Pushed(DEPLOYMENTS)
    await pushed(applying(deployment(replicas=3)))
    missing = Failure(FailureKind.RIGHT_MISSING, "no right", 403)
    pushed.member.fails = lambda verb, name: missing if verb == "replicas" else None
    outcome = await pushed(replace(UPDATE, uid=pushed.uid, hand_over=5))
    assert (outcome.status, outcome.failure) == (PropagationStatus.FIELD_RETENTION_FAILED, missing)


@pytest.mark.parametrize("adopt", [True, False], ids=["adopted", "adoption-disabled"])
async def test_an_adopted_object_keeps_its_own_number(adopt: bool) -> None:
    pushed = Pushed(DEPLOYMENTS)
    pushed.member.post(DEPLOYMENTS, WHERE, {"spec": {"replicas": 9, "paused": True}}, manager="kubectl-create")
    outcome = await pushed(replace(CREATE_3, create_only=not adopt))
    assert outcome.status is (PropagationStatus.OK if adopt else PropagationStatus.ALREADY_EXISTS)
    assert pushed.value(*REPLICAS) == 9
    assert pushed.owners(*REPLICAS) == ["kubectl-create"]
    assert (US in pushed.owners("spec", "paused")) is adopt


# --- delete -----------------------------------------------------------------------------------------------------------


async def test_deleted_if_it_is_still_the_same() -> None:
    pushed = Pushed()
    await pushed(APPLY)
    other = await pushed(Delete("another"))
    assert other.failure is not None
    assert (other.status, other.failure.kind) == (PropagationStatus.DELETION_FAILED, FailureKind.UID_MISMATCH)
    assert (await pushed(Delete(pushed.uid))).status is PropagationStatus.OK
    assert pushed.verbs() == ["delete"]
    assert not pushed.member.objects
    assert (await pushed(Delete("uid-1"))).status is PropagationStatus.OK  # gone already


@pytest.mark.parametrize(
    ("uid", "kind", "status"),
    [
        pytest.param("uid-1", FailureKind.TIMED_OUT, PropagationStatus.DELETION_TIMED_OUT, id="late"),
        pytest.param("uid-1", FailureKind.DENIED, PropagationStatus.DELETION_FAILED, id="denied"),
        pytest.param("", FailureKind.TIMED_OUT, PropagationStatus.DELETION_TIMED_OUT, id="late-to-look"),
    ],
)
async def test_a_delete_that_is_refused(uid: str, kind: FailureKind, status: PropagationStatus) -> None:
    pushed = Pushed()
    failure = Failure(kind, "no")
    pushed.member.fails = lambda verb, name: failure
    outcome = await pushed(Delete(uid))
    assert (outcome.status, outcome.failure) == (status, failure)


async def test_one_that_may_never_have_been_made_is_looked_for() -> None:
    pushed = Pushed()
    assert (await pushed(Delete(""))).status is PropagationStatus.OK
    assert pushed.verbs() == ["read"]
    await pushed(APPLY)
    assert (await pushed(Delete(""))).status is PropagationStatus.OK
    assert pushed.verbs() == ["read", "delete"]
    assert not pushed.member.objects


@pytest.mark.parametrize(
    "labels", [pytest.param({}, id="no-label"), pytest.param(MANAGED["labels"], id="labelled-by-somebody")]
)
async def test_and_left_alone_when_it_is_somebody_elses(labels: dict[str, str]) -> None:
    pushed = Pushed()
    pushed.member.post(CONFIGMAPS, WHERE, {"metadata": {"labels": labels}, "data": {"a": "b"}})
    assert (await pushed(Delete(""))).status is PropagationStatus.OK
    assert pushed.verbs() == ["read"]
    assert pushed.value("data", "a") == "b"


# --- release ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False], ids=["by-uid", "whatever-is-there"])
async def test_released_it_stays_as_it_is_and_is_nobodys(known: bool) -> None:
    pushed = Pushed()
    await pushed(APPLY)
    outcome = await pushed(Release(pushed.uid if known else ""))
    assert outcome.status is PropagationStatus.OK
    assert pushed.verbs() == ["read", "patch"]
    assert pushed.value("data", "a") == "b"
    assert pushed.value("metadata", "labels", marks.MANAGED_LABEL) is None
    assert pushed.owners("data", "a") == []


async def test_released_to_another_hub_the_label_stays() -> None:
    pushed = Pushed()
    await pushed.member.apply(CONFIGMAPS, WHERE, APPLY.body, force=False, manager=OTHER_HUB)
    await pushed.member.apply(CONFIGMAPS, WHERE, APPLY.body, force=False)
    await pushed(Release(pushed.uid, keep_label=True))
    assert pushed.value("metadata", "labels", marks.MANAGED_LABEL) == "true"
    assert pushed.owners("data", "a") == [OTHER_HUB]


async def test_one_that_was_created_anew_is_not_released() -> None:
    pushed = Pushed()
    await pushed(APPLY)
    assert (await pushed(Release("another"))).status is PropagationStatus.OK
    assert pushed.verbs() == ["read"]
    assert pushed.owners("data", "a") == [US]


@pytest.mark.parametrize("uid", ["another", ""])
async def test_nothing_of_ours_to_release(uid: str) -> None:
    pushed = Pushed()
    assert (await pushed(Release("uid-1"))).status is PropagationStatus.OK  # gone
    assert pushed.verbs() == ["read"]
    pushed.member.post(CONFIGMAPS, WHERE, {"data": {"a": "b"}})
    assert (await pushed(Release(uid))).status is PropagationStatus.OK
    assert pushed.verbs() == ["read"]


@pytest.mark.parametrize(
    ("at", "kind", "status"),
    [
        ("read", FailureKind.UNAVAILABLE, PropagationStatus.LABEL_REMOVAL_FAILED),
        ("read", FailureKind.TIMED_OUT, PropagationStatus.LABEL_REMOVAL_TIMED_OUT),
        ("patch", FailureKind.VERSION_CONFLICT, PropagationStatus.LABEL_REMOVAL_FAILED),
    ],
)
async def test_a_release_that_is_refused(at: str, kind: FailureKind, status: PropagationStatus) -> None:
    pushed = Pushed()
    await pushed(APPLY)
    failure = Failure(kind, "no")
    pushed.member.fails = lambda verb, name: failure if verb == at else None
    outcome = await pushed(Release(pushed.uid))
    assert (outcome.status, outcome.failure) == (status, failure)
