"""`fedctl join` of several clusters in one call."""

import yaml

from tests.clusters.fedctl import Site, hub, site

__all__ = ["hub", "site"]


def test_each_joins_as_it_would_alone(hub: Site) -> None:
    ran = hub.run("join", "m1", "m2", "m1", "--label", "tier=edge")
    assert ran.out == ""
    lines = [line for line in ran.err.splitlines() if "has joined" in line]
    assert sorted(line.partition(" ")[2] for line in lines) == [
        f"cluster {name} has joined host" for name in ("m1", "m2")
    ]
    assert [line.partition(" ")[0] for line in lines] == ["[1/2]", "[2/2]"]
    assert len(ran.err.splitlines()) == 2, "a step of one join is no line where there are many"
    for name in ("m1", "m2"):
        joined = hub.cluster(name)
        assert joined is not None
        assert joined["metadata"]["labels"] == {"tier": "edge"}
        assert hub.may(name, hub.token(name), "get", "namespaces", name="kube-system")
    assert hub.token("m1") not in ran.err


def test_what_fails_stops_nobody_else(hub: Site) -> None:
    hub.run("join", "m2")
    before = hub.token("m2")
    ran = hub.run("join", "m1", "m2", "nobody", code=3)
    assert "cluster m1 has joined host" in ran.err
    assert "cluster m2 has not joined: host: cluster m2 has already joined" in ran.err
    assert "cluster nobody has not joined: no context 'nobody'" in ran.err
    assert "next: to renew its credentials" in ran.err
    assert ran.err.splitlines()[-1].startswith("error: 2 of 3 clusters have not joined: ")
    assert hub.cluster("m1") is not None
    assert hub.token("m2") == before
    assert hub.run("join", "m1", "m2", code=1).err.splitlines()[-1].startswith("error: 2 of 2 clusters have not joined")


def test_one_cluster_under_two_names_joins_once(hub: Site) -> None:
    document = yaml.safe_load(hub.kubeconfig.read_text())
    document["contexts"].append({"name": "again", "context": {"cluster": "m1", "user": "m1"}})
    path = hub.directory / "twice"
    path.write_text(yaml.safe_dump(document))
    ran = hub.run("join", "m1", "again", code=3, kubeconfig=path)
    assert "is the same cluster as" in ran.err
    assert [hub.cluster("m1"), hub.cluster("again")].count(None) == 1


def test_the_host_may_be_one_of_them(hub: Site) -> None:
    hub.run("join", "host", "m1", "m2")
    assert all(hub.cluster(name) for name in ("host", "m1", "m2"))


def test_wait_names_those_that_are_not_ready(hub: Site) -> None:
    ran = hub.run("join", "m1", "m2", "--wait", "--timeout", "1", code=1)
    assert "2 of 2 clusters have joined and are not Ready after 1 s: m1, m2" in ran.err


def test_checks_and_dry_runs_write_nothing(hub: Site) -> None:
    checked = hub.run("join", "m1", "m2", "--check-only")
    assert {line.partition(":")[0] for line in checked.err.splitlines()} == {"m1", "m2"}
    rehearsed = hub.run("join", "m1", "m2", "--dry-run")
    assert all(f"kubefedcluster {hub.namespace}/{name} would be created" in rehearsed.err for name in ("m1", "m2"))
    shown = hub.run("join", "m1", "nobody", "m2", "-o", "yaml", code=3)
    kinds = [each["kind"] for each in yaml.safe_load_all(shown.out)]
    assert kinds.count("KubeFedCluster") == 2
    assert [hub.cluster("m1"), hub.cluster("m2")] == [None, None]


def test_flags_of_one_cluster_are_wrong_usage(hub: Site) -> None:
    ran = hub.run("join", "m1", "m2", "--cluster-context", "m1", "--secret-name", "x", code=2)
    assert "--cluster-context, --secret-name: for one cluster only" in ran.err
    assert hub.cluster("m1") is None
