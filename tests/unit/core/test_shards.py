"""Which shard a cluster belongs to, how the number of shards changes, and who gives way to whom."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import shards
from federation.core.shards import Numbers, Replica, Shard, Standing
from federation.model import marks

NAMES = [f"cluster-{number}" for number in range(3_000)]
NUMBER = st.integers(1, 12)


@pytest.mark.parametrize("number", [1, 2, 3, 5, 8])
def test_one_shard_more_takes_its_part_and_moves_nothing_else(number: int) -> None:
    before = {name: shards.ranked(name, number) for name in NAMES}
    after = {name: shards.ranked(name, number + 1) for name in NAMES}
    moved = [name for name in NAMES if before[name] != after[name]]
    assert all(after[name] == number for name in moved)
    assert abs(len(moved) / len(NAMES) - 1 / (number + 1)) < 0.05
    counts = Counter(after.values())
    assert max(counts.values()) < 1.2 * len(NAMES) / (number + 1)


@given(st.text(max_size=20), st.text(max_size=20), NUMBER)
def test_every_cluster_has_exactly_one_shard_that_serves_or_takes_it(name: str, label: str, number: int) -> None:
    labels = {marks.SHARD_LABEL: label} if label else {}
    standings = [shards.standing(name, labels, {}, Shard(index, number)) for index in range(number)]
    assert Counter(standings) == Counter({Standing.TAKES: 1, Standing.FOREIGN: number - 1})


@given(NUMBER, st.integers(0, 11), st.integers(0, 11), NUMBER)
def test_who_is_on_record_serves_until_it_lets_go(number: int, recorded: int, label: int, of: int) -> None:
    labels, annotations = {marks.SHARD_LABEL: str(label)}, {marks.SERVED_ANNOTATION: f"{recorded}/{of}"}
    standings = [shards.standing("east", labels, annotations, Shard(index, number)) for index in range(number)]
    wanted = shards.wanted("east", labels, number)
    if of != number or recorded >= number:
        assert standings[wanted] is Standing.TAKES, "a record of another number counts for nothing"
        assert shards.owner("east", labels, annotations, number) == wanted
        return
    assert standings[recorded] is (Standing.SERVES if recorded == wanted else Standing.LETS_GO)
    assert standings.count(Standing.FOREIGN) == number - 1
    assert shards.owner("east", labels, annotations, number) == recorded


@pytest.mark.parametrize(("label", "shard"), [("2", 2), ("0", 0), ("3", None), ("eu", None), ("", None)], ids=str)
def test_a_label_names_a_shard_or_keeps_clusters_together(label: str, shard: int | None) -> None:
    labels = {marks.SHARD_LABEL: label} if label else {}
    found = {shards.wanted(name, labels, 3) for name in NAMES[:200]}
    if shard is not None:
        assert found == {shard}
    else:
        assert len(found) == (1 if label else 3)


@given(st.sets(st.sampled_from(NAMES[:6])), st.sets(st.sampled_from(NAMES[:6])), NUMBER, NUMBER)
def test_the_digest_of_a_fleet_is_of_its_clusters_and_the_number(a: set[str], b: set[str], one: int, two: int) -> None:
    assert (shards.fleet(a, one) == shards.fleet(b, two)) == ((a, one) == (b, two))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", Numbers(1, 1)),
        ("3", Numbers(3, 3)),
        ("3/1", Numbers(3, 1)),
        ("x", Numbers(shards.MOST, shards.MOST)),
        ("0", Numbers(shards.MOST, shards.MOST)),
        ("2/999999", Numbers(2, shards.MOST)),
    ],
)
def test_what_a_lease_says_of_the_number(text: str, numbers: Numbers) -> None:
    assert shards.numbers(text) == numbers


@given(NUMBER, NUMBER, NUMBER)
def test_a_claim_remembers_the_most_leases_that_may_be_held(now: int, before: int, number: int) -> None:
    found = Numbers(now, before)
    claimed = shards.claimed(found, number)
    assert claimed.now == number
    assert max(claimed) >= max(found) or found == (number, number)
    assert shards.numbers(claimed.text) == claimed


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6))
def test_giving_way_ends_and_leaves_nobody_two_behind(held: list[int]) -> None:
    replicas = [Replica(f"replica-{place}", number) for place, number in enumerate(held)]
    for _ in range(100):
        givers = [each for each in replicas if shards.gives_way(each, [other for other in replicas if other != each])]
        assert len(givers) <= 1
        if not givers:
            break
        giver = givers[0]
        takers = [
            each
            for each in replicas
            if each != giver and shards.may_take(each, [other for other in replicas if other not in {each, giver}])
        ]
        taker = takers[0]
        replicas[replicas.index(giver)] = giver._replace(held=giver.held - 1)
        replicas[replicas.index(taker)] = taker._replace(held=taker.held + 1)
    counts = [each.held for each in replicas]
    assert max(counts) - min(counts) <= 1
    assert sum(counts) == sum(held)
