"""Planning looks at the clusters that an object is in, or is to be in: never at the fleet."""

from collections.abc import Iterator
from dataclasses import replace

import msgspec
import orjson
import pytest

from federation.core import desired, planning
from federation.core.elsewhere import Foreign
from federation.core.facts import Facts
from federation.core.variants import Made
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.federated import FederatedObject, Metadata
from federation.model.observations import MAY_HAVE_COPY, Applied, Cluster, Missing, Observation, Observed
from federation.model.status import ClusterStatus
from tests.unit.controllers.rig import CONFIGMAPS

FLEET = 1_000
OURS = Observed("u1", 3, "entry", managed=True)


class Fleet(dict[str, Cluster]):
    """Clusters that may be looked up by name, and not gone through."""

    def _refused(self) -> Iterator[str]:
        raise AssertionError("the whole fleet is gone through")

    __iter__ = keys = values = items = _refused  # type: ignore[assignment]


def facts(
    named: list[str], seen: dict[str, Observation], *, deleting: bool = False, begun: bool = True, **others: object
) -> Facts:
    fleet = Fleet({f"m{number}": Cluster(f"m{number}", ready=True) for number in range(FLEET)})
    fleet |= {"away": Cluster("away", message="no answer"), "other": Cluster("other", ready=True, shard=2)}
    spec = {"template": {"data": {"a": "b"}}, "placement": {"clusters": [{"name": name} for name in named]}}
    meta = Metadata(
        name="web",
        namespace="ns",
        generation=7,
        finalizers=(marks.SYNC_FINALIZER,),
        deletion_timestamp="2026-01-01T00:00:00Z" if deleting else None,
    )
    return Facts(
        type=CONFIGMAPS,
        object=FederatedObject(meta, msgspec.Raw(orjson.dumps(spec))),
        clusters=fleet,
        observe=lambda name: seen.get(name, Missing.ABSENT),
        present=frozenset(seen),
        from_the_start=begun,
        **others,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("deleting", [False, True])
def test_no_other_cluster_is_looked_at(deleting: bool) -> None:
    """Selected, there without being selected, applied, sent and not answered: these, and no other."""
    given = facts(
        ["m1", "unjoined"],
        {"m2": OURS},
        deleting=deleting,
        begun=False,
        applied={"m3": Applied("d", "o"), "away": MAY_HAVE_COPY},
        unconfirmed=frozenset({"m4"}),
        elsewhere=Foreign({"other": ClusterStatus("other")}),
    )
    expected = {"m2", "m4", "away", "other"} | (set() if deleting else {"m1"})
    # m3 shows that its copy is gone, and a deletion waits for no shard that is not silent.
    assert planning.plan(given).actions.keys() == expected - ({"other"} if deleting else set())


def test_a_selected_cluster_that_is_away_is_waited_for_in_a_deletion() -> None:
    """A controller may have pushed there without noting it; not where this one has seen the object from the start."""
    away = planning.plan(facts(["m1", "away"], {}, deleting=True, begun=False)).actions
    assert {name: getattr(action, "status", "") for name, action in away.items()} == {
        "away": PropagationStatus.WAITING_FOR_REMOVAL
    }
    assert not planning.plan(facts(["m1", "away"], {}, deleting=True)).actions


def test_the_order_of_clusters_does_not_depend_on_how_many_there_are() -> None:
    """Where all manifests together are too large, which ones are refused must not change from plan to plan."""
    names = [f"m{number}" for number in (10, 9, 200, 30)]
    assert list(planning.plan(facts(names, {})).actions) == sorted(names)
    assert list(planning.plan(facts(list(reversed(names)), {})).actions) == sorted(names)


def test_what_a_cluster_should_hold_does_not_depend_on_what_it_has() -> None:
    """The first half of planning asks nothing that is observed in a member."""

    def observe(name: str) -> Observation:
        raise AssertionError(name)

    given = replace(facts(["m1"], {}), observe=observe)
    wanted = desired.of(given)
    assert wanted is not None
    selection = desired.selection(given, wanted.spec)
    assert selection is not None
    assert selection.selected == {"m1"}
    made = wanted.manifest_for(given.clusters["m1"])
    assert isinstance(made, Made)
    assert orjson.loads(made.content)["data"] == {"a": "b"}
