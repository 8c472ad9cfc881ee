"""Two hubs push one object: what the second does, what the first is told, and when the claim goes again."""

from typing import Any

import msgspec
import orjson
import pytest

from federation.core import claims, planning
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.observations import Applied, Missing, Observation, Observed
from federation.model.plan import Action, Apply, Claim, Keep, Release, Wait
from federation.model.resources import NAMESPACES, ObjectName, Resource
from tests.unit.core.test_planning import (
    APPLIED,
    DIGEST,
    DOWN,
    ELSEWHERE,
    GOING,
    ORPHANING,
    OURS,
    facts,
    federated,
)

US, FIRST, THIRD = "kubefed-0123abcd", "kubefed-99999999", "kubefed-88888888"
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
THEIRS = Observed("u1", 5, "", managed=True, other_hub=FIRST)
CLAIMED = msgspec.structs.replace(THEIRS, claimed=True)
SHARED = msgspec.structs.replace(THEIRS, owned_digest="entry")
MINE = msgspec.structs.replace(OURS, claimed=True)
HELD = Wait(PropagationStatus.ALREADY_EXISTS, f"another hub manages it ({FIRST})")
LETTING_GO = Release("u1", keep_label=True)


def planned(observed: Observation, **others: Any) -> Action | None:
    """The action for m1."""
    item = others.pop("item", None)
    return planning.plan(facts(item, observed=observed, **others)).actions.get("m1")


@pytest.mark.parametrize(
    ("observed", "applied", "action"),
    [
        pytest.param(THEIRS, {}, Claim("u1", FIRST), id="seen-and-not-told"),
        pytest.param(CLAIMED, {}, HELD, id="told"),
        pytest.param(THEIRS, APPLIED, Claim("u1", FIRST), id="ours-once"),
        pytest.param(SHARED, {}, Claim("u1", FIRST, shared=True), id="equal-values-and-we-came-later"),
        pytest.param(
            msgspec.structs.replace(SHARED, claimed=True),
            {},
            Claim("u1", FIRST, shared=True),
            id="claimed-and-shared-again",
        ),
        pytest.param(SHARED, APPLIED, Keep(DIGEST, "entry", (FIRST,)), id="equal-values-and-we-came-first"),
        pytest.param(
            SHARED, {"m1": Applied(DIGEST, "", 7)}, HELD, id="to-be-applied-again-it-is-not-while-it-is-shared"
        ),
        pytest.param(SHARED, {"m1": Applied("old", "entry", 6)}, HELD, id="changed-while-shared"),
        pytest.param(THEIRS, {"m1": Applied(DIGEST, "", 7)}, Claim("u1", FIRST), id="lost-and-to-be-applied-again"),
        pytest.param(
            msgspec.structs.replace(OURS, claims=(THIRD,)),
            APPLIED,
            Keep(DIGEST, "entry", (THIRD,)),
            id="claimed-by-another",
        ),
        pytest.param(
            msgspec.structs.replace(CLAIMED, managed=False), {}, LETTING_GO, id="kept-away-from-it-the-claim-goes"
        ),
        pytest.param(
            msgspec.structs.replace(CLAIMED, deleting=True),
            {},
            Wait(
                PropagationStatus.PENDING,
                "the object is being deleted in this cluster; it is created again once it is gone",
            ),
            id="going-it-takes-the-claim-along",
        ),
    ],
)
def test_beside_another_hub(observed: Observed, applied: dict[str, Applied], action: Action) -> None:
    assert planned(observed, applied=applied) == action


@pytest.mark.parametrize(
    "observed",
    [
        pytest.param(msgspec.structs.replace(CLAIMED, other_hub=""), id="let-go"),
        pytest.param(msgspec.structs.replace(CLAIMED, other_hub="", claims=(THIRD,)), id="and-wanted-by-a-third"),
        pytest.param(MINE, id="taken-over-and-the-claim-is-still-there"),
    ],
)
def test_let_go_it_is_taken_over(observed: Observed) -> None:
    action = planned(observed, applied=APPLIED)
    assert isinstance(action, Apply)
    assert action.uid == "u1"


@pytest.mark.parametrize(
    ("item", "observed", "others", "action"),
    [
        pytest.param(ELSEWHERE, CLAIMED, {}, LETTING_GO, id="moved-away"),
        pytest.param(GOING, CLAIMED, {}, LETTING_GO, id="deleted"),
        pytest.param(ORPHANING, CLAIMED, {}, LETTING_GO, id="deleted-and-orphaned"),
        pytest.param(
            GOING, msgspec.structs.replace(CLAIMED, managed=False), {}, LETTING_GO, id="deleted-where-we-are-kept-away"
        ),
        pytest.param(ELSEWHERE, THEIRS, {}, None, id="not-claimed"),
        pytest.param(ELSEWHERE, THEIRS, {"unconfirmed": frozenset({"m1"})}, LETTING_GO, id="perhaps-claimed"),
        pytest.param(
            ELSEWHERE,
            CLAIMED,
            {"cluster": DOWN},
            Wait(PropagationStatus.CLUSTER_NOT_READY, "cannot connect"),
            id="moved-away-while-it-is-down",
        ),
        pytest.param(
            federated(deleting=True, clusters=[]),
            CLAIMED,
            {"cluster": DOWN},
            Wait(PropagationStatus.WAITING_FOR_REMOVAL, "cannot connect"),
            id="and-deleted",
        ),
    ],
)
def test_not_placed_any_more_the_claim_goes(
    item: Any, observed: Observed, others: dict[str, Any], action: Action | None
) -> None:
    assert planned(observed, item=item, **others) == action


def test_ours_with_a_claim_goes_as_a_whole() -> None:
    assert planned(MINE, item=GOING) == planned(OURS, item=GOING)


@pytest.mark.parametrize("observed", [THEIRS, CLAIMED], ids=["to-be-claimed", "claimed"])
def test_a_claim_is_not_left_without_a_finalizer(observed: Observed) -> None:
    assert planning.plan(facts(federated(finalizers=()), observed=observed)).finalizer is True
    assert planning.plan(facts(federated(deleting=True), observed=CLAIMED)).finalizer is None


@pytest.mark.parametrize(
    ("observed", "names"),
    [
        pytest.param(OURS, (), id="nobody"),
        pytest.param(msgspec.structs.replace(OURS, claims=(THIRD, FIRST)), (THIRD, FIRST), id="two-claims"),
        pytest.param(msgspec.structs.replace(OURS, other_hub=FIRST), (FIRST,), id="shared"),
        pytest.param(
            msgspec.structs.replace(OURS, other_hub=FIRST, claims=(FIRST,)), (FIRST,), id="shared-and-claimed"
        ),
        pytest.param(msgspec.structs.replace(OURS, other_hub=FIRST, claims=(THIRD,)), (THIRD, FIRST), id="one-of-each"),
    ],
)
def test_rivals(observed: Observed, names: tuple[str, ...]) -> None:
    assert claims.rivals(observed) == names
    assert all(name in claims.rivals_message(names) for name in names)
    assert bool(claims.rivals_message(names)) is bool(names)


@pytest.mark.parametrize(
    ("observed", "certain"),
    [
        pytest.param(Missing.ABSENT, False, id="absent"),
        pytest.param(Missing.UNKNOWN, False, id="unknown"),
        pytest.param(OURS, True, id="ours"),
        pytest.param(THEIRS, False, id="another-hubs"),
        pytest.param(CLAIMED, True, id="claimed"),
        pytest.param(SHARED, True, id="shared"),
        pytest.param(msgspec.structs.replace(OURS, owned_digest=""), True, id="nobodys"),
    ],
)
def test_what_is_seen_after_a_write_without_answer(observed: Observation, certain: bool) -> None:
    assert claims.conclusive(observed) is certain


@pytest.mark.parametrize("withdraw", [False, True])
@pytest.mark.parametrize("resource", [CONFIGMAPS, NAMESPACES], ids=["namespaced", "cluster-scoped"])
def test_a_claim_names_the_object_and_one_annotation(resource: Resource, withdraw: bool) -> None:
    name = ObjectName("ns", "web")
    body = orjson.loads(claims.body(resource, name, "u1", US, withdraw=withdraw))
    meta = body.pop("metadata")
    assert body == {"apiVersion": "v1", "kind": resource.kind}
    assert (meta.pop("name"), meta.pop("uid")) == ("web", "u1")
    assert meta.pop("namespace", None) == ("ns" if resource.namespaced else None)
    assert meta == ({} if withdraw else {"annotations": {"kubefed.io/claimed-by-0123abcd": US}})


def test_claims_of_two_hubs_do_not_meet() -> None:
    assert marks.claim_annotation(FIRST) != marks.claim_annotation(THIRD)
    assert marks.claim_manager(FIRST) != marks.claim_manager(THIRD)
