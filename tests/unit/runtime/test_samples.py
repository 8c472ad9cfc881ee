"""The metrics that have samples for each cluster: their text, and that a scrape of a large fleet takes turns."""

import functools
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from federation.runtime import metrics
from federation.runtime.samples import LINES, Family

CLUSTERS = [f"scraped-{number}" for number in range(3_000)]


def read(family: Family) -> dict[tuple[tuple[str, str], ...], float]:
    """What prometheus_client's parser reads in a family's text: numbers by their labels."""
    (parsed,) = text_string_to_metric_families("".join(family.steps()))
    return {tuple(sorted(sample.labels.items())): sample.value for sample in parsed.samples}


@pytest.fixture
def fleet() -> Iterator[None]:
    """The samples that a large fleet has, of ten types."""
    for name in CLUSTERS:
        metrics.REQUESTS.labels(name, "GET", "200").inc()
        metrics.CLUSTER_READY.labels(name).set(1)
        for _ in range(10):
            metrics.PUSHES.labels(name, "ok").inc()
            metrics.WATCH_EVENTS.labels(name).inc()
    yield
    for name in CLUSTERS:
        metrics.forget_cluster(name)


def test_what_is_counted_is_what_prometheus_reads() -> None:
    family = Family("counter", "things_total", "Things.", ["cluster", "type", "code"])
    family.labels("m1", "configmaps", "200").inc()
    family.labels("m1", "configmaps", "200").inc(2)
    family.labels("m2", 'a"b\\c\nd', "<error>").inc(0.5)
    assert read(family) == {
        (("cluster", "m1"), ("code", "200"), ("type", "configmaps")): 3,
        (("cluster", "m2"), ("code", "<error>"), ("type", 'a"b\\c\nd')): 0.5,
    }
    text = "".join(family.steps())
    assert text.startswith("# HELP things_total Things.\n# TYPE things_total counter\n")
    assert 'things_total{cluster="m1",code="200",type="configmaps"} 3.0\n' in text


def test_a_gauge_that_is_read_when_it_is_asked_for() -> None:
    family, there = Family("gauge", "things", "Things.", ["cluster"]), [1]
    family.labels("m1").set_function(lambda: len(there))
    there.append(2)
    assert read(family) == {(("cluster", "m1"),): 2}
    assert family.value("m1") == 2
    assert family.value("m2") is None


def test_what_several_controllers_of_a_process_count_is_one_number() -> None:
    """Each for itself; it is gone when the last one has ended, and what began anew meanwhile is another's."""
    family, one, other = Family("gauge", "things", "Things.", ["type"]), [1], [1, 2]
    ends = [family.follow(lambda: len(one), "configmaps"), family.follow(lambda: len(other), "configmaps")]
    other.append(3)
    assert family.value("configmaps") == 4
    ends[0]()
    ends[0]()
    assert family.value("configmaps") == 3
    family.forget("configmaps")
    begun = family.follow(lambda: 7, "configmaps")
    ends[1]()
    assert family.value("configmaps") == 7
    begun()
    assert family.value("configmaps") is None
    assert read(family) == {}


def test_a_metric_without_labels_is_there_also_while_nobody_counts() -> None:
    family = Family("gauge", "held", "Whether it is held.", together=max)
    assert read(family) == {(): 0}
    ends = [family.follow(functools.partial(float, value)) for value in (0, 1, 1)]
    assert read(family) == {(): 1}
    assert "\nheld 1.0\n" in "".join(family.steps())
    for end in ends:
        end()
    assert read(family) == {(): 0}


def test_labels_that_are_too_few_are_a_bug() -> None:
    with pytest.raises(ValueError, match="has the labels"):
        Family("gauge", "things", "Things.", ["cluster", "type"]).labels("m1")


@pytest.mark.usefixtures("fleet")
def test_a_scrape_of_a_large_fleet_takes_turns() -> None:
    """No step writes many more lines than one may, and no cluster has a line for each type."""
    steps = list(metrics.steps())
    assert max(step.count("\n") for step in steps[1:]) < LINES + 50
    assert "".join(steps).count('"scraped-1"') == 4


@pytest.mark.usefixtures("fleet")
def test_clusters_may_come_and_go_during_a_scrape() -> None:
    seen = []
    for step in metrics.steps():
        seen.append(step)
        if "scraped-0" in step:
            metrics.forget_cluster(CLUSTERS[-1])
            metrics.CLUSTER_READY.labels("scraped-new").set(1)
    metrics.forget_cluster("scraped-new")
    assert f'"{CLUSTERS[-1]}"' not in "".join(seen)
    assert f'"{CLUSTERS[-2]}"' in "".join(seen)


def test_the_whole_text_can_be_parsed_and_names_nothing_twice() -> None:
    metrics.PUSHES.labels("m1", "ok").inc()
    names = [family.name for family in text_string_to_metric_families("".join(metrics.steps()))]
    assert len(names) == len(set(names))
    assert {"federation_pushes", "rest_client_requests", "process_cpu_seconds", "workqueue_depth"} <= set(names)
    assert not [name for name in names if name.endswith("_created")]
