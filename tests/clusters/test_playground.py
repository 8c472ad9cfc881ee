"""Playgrounds on real processes: up, again, kill, restart, pause, damage, down. The pure parts are in tests/unit."""

import json
import os
import shutil
import signal
import socket
import ssl
import time
from pathlib import Path

import pytest
import yaml

from federation.playground import access, processes, verbs
from federation.playground.access import LocalCluster
from federation.playground.clusters import DEFAULT_NAMES, Playground
from federation.playground.errors import PlaygroundError
from federation.playground.processes import State


def get(cluster: LocalCluster, path: str, trust: ssl.SSLContext) -> tuple[int, dict[str, object]]:
    code, body = access.request(cluster, "GET", path, trust)
    return code, json.loads(body) if body.startswith(b"{") else {}


def make_config_map(cluster: LocalCluster, trust: ssl.SSLContext, name: str, namespace: str = "default") -> str:
    body = json.dumps({"metadata": {"name": name}, "data": {"a": "b"}}).encode()
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    code, _ = access.request(cluster, "POST", path, trust, body=body)
    assert code == 201
    return f"{path}/{name}"


def ignore(_: str) -> None:
    """Nobody reads what is reported."""


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def port_of(cluster: LocalCluster) -> int:
    return int(cluster.url.rpartition(":")[2])


def test_clusters_are_separate_and_what_they_say_they_are(playground: Playground, trust: ssl.SSLContext) -> None:
    clusters = playground.clusters
    assert tuple(clusters) == DEFAULT_NAMES
    uids = set()
    for cluster in clusters.values():
        code, version = get(cluster, "/version", trust)
        assert (code, version["major"], version["minor"]) == (200, "1", "36")
        code, namespace = get(cluster, "/api/v1/namespaces/kube-system", trust)
        assert code == 200
        uids.add(namespace["metadata"]["uid"])  # type: ignore[index]
    assert len(uids) == len(clusters)


def test_the_kubeconfig_has_a_context_per_cluster(playground: Playground) -> None:
    config = yaml.safe_load(playground.kubeconfig.read_text())
    assert [each["name"] for each in config["contexts"]] == list(DEFAULT_NAMES)
    assert config["current-context"] == "host"
    for cluster, user in zip(config["clusters"], config["users"], strict=True):
        assert cluster["cluster"]["server"] == playground.clusters[cluster["name"]].url
        assert "certificate-authority-data" in cluster["cluster"]
        assert user["user"] == {"token": playground.clusters[user["name"]].token}
    assert playground.kubeconfig.stat().st_mode & 0o077 == 0


def test_nobody_enters_without_a_token(playground: Playground, trust: ssl.SSLContext) -> None:
    cluster = playground.clusters["m1"]
    stranger = LocalCluster(cluster.name, cluster.url, "", cluster.ca_pem)
    assert access.request(stranger, "GET", "/version", trust)[0] == 401


def test_a_members_service_account_is_a_stranger_elsewhere(playground: Playground, trust: ssl.SSLContext) -> None:
    m1, m2 = playground.clusters["m1"], playground.clusters["m2"]
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    code, body = access.request(m1, "POST", path, trust, body=b'{"spec": {"expirationSeconds": 600}}')
    assert code == 201
    token = json.loads(body)["status"]["token"]
    at_home = access.request(LocalCluster("m1", m1.url, token, m1.ca_pem), "GET", "/version", trust)[0]
    abroad = access.request(LocalCluster("m2", m2.url, token, m2.ca_pem), "GET", "/version", trust)[0]
    assert (at_home, abroad) == (200, 401)


def test_a_namespace_goes_away_with_all_in_it(playground: Playground, trust: ssl.SSLContext, namespace: str) -> None:
    cluster = playground.clusters["m3"]
    body = json.dumps({"metadata": {"name": namespace}}).encode()
    assert access.request(cluster, "POST", "/api/v1/namespaces", trust, body=body)[0] == 201
    make_config_map(cluster, trust, "inside", namespace)
    access.request(cluster, "DELETE", f"/api/v1/namespaces/{namespace}", trust)
    while get(cluster, f"/api/v1/namespaces/{namespace}", trust)[0] != 404:
        time.sleep(0.05)
    assert get(cluster, f"/api/v1/namespaces/{namespace}/configmaps/inside", trust)[0] == 404


def test_kill_and_restart_keep_data_and_url(breakable: Playground, trust: ssl.SSLContext, namespace: str) -> None:
    before = breakable.clusters["m1"]
    path = make_config_map(before, trust, namespace)
    breakable.kill("m1")
    assert breakable.clusters["m1"].apiserver_pid is None
    assert access.request(before, "GET", path, trust)[0] == 0
    assert get(breakable.clusters["m2"], "/readyz", trust)[0] == 200
    after = breakable.restart("m1")
    assert (after.url, after.token) == (before.url, before.token)
    assert after.apiserver_pid != before.apiserver_pid
    assert get(after, path, trust)[0] == 200
    assert access.request(after, "DELETE", path, trust)[0] == 200


def test_a_paused_cluster_accepts_and_never_answers(breakable: Playground, trust: ssl.SSLContext) -> None:
    cluster = breakable.clusters["m2"]
    breakable.pause("m2")
    states = {(row.cluster, row.process): (row.state, row.ready) for row in breakable.status()}
    assert states["m2", "kube-apiserver"] == (State.PAUSED, False)
    assert states["m1", "kube-apiserver"] == (State.RUNNING, True)
    assert listens(port_of(cluster))
    assert access.request(cluster, "GET", "/version", trust, timeout=0.3)[0] == 0
    breakable.resume("m2")
    assert access.request(cluster, "GET", "/version", trust)[0] == 200


def test_a_second_run_changes_nothing(playground: Playground) -> None:
    before = playground.clusters
    reported: list[str] = []
    Playground.up(playground.directory, controller_manager=DEFAULT_NAMES, report=reported.append)
    assert Playground.open(playground.directory).clusters == before
    assert not any("compil" in line for line in reported)


@pytest.mark.parametrize("verb", ["kill", "restart", "pause", "resume"])
def test_an_unknown_cluster_is_named(playground: Playground, verb: str) -> None:
    with pytest.raises(PlaygroundError, match="no cluster 'm9'; it has host, m1, m2, m3"):
        getattr(playground, verb)("m9")


def test_a_whole_life_of_its_own(tmp_path: Path) -> None:
    directory = tmp_path / "pg"
    playground = Playground.up(directory, ("one",), report=ignore)
    try:
        trust = access.tls(playground.clusters["one"].ca_pem)
        path = make_config_map(playground.clusters["one"], trust, "kept")
        added = playground.add("two")
        assert get(added, path, trust)[0] == 404
        etcd = playground.etcd_pid
        assert etcd is not None
        # A run that died: no API server, no etcd, and the pid file of "one" now names somebody else (this test).
        for pid in (etcd, *(each.apiserver_pid for each in playground.clusters.values())):
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        pid_file = directory / "clusters" / "one" / "kube-apiserver.pid"
        pid_file.write_text(json.dumps({"pid": os.getpid(), "born": json.loads(pid_file.read_text())["born"]}))
        again = Playground.up(directory, ("one",), report=ignore)
        assert {name: each.url for name, each in again.clusters.items()} == {
            name: each.url for name, each in playground.clusters.items()
        }
        assert get(again.clusters["one"], path, trust)[0] == 200
        again.pause("two")
        ports = [port_of(each) for each in again.clusters.values()]
    finally:
        Playground(directory, report=ignore).down()
    assert not directory.exists()
    assert not directory.with_name("pg.lock").exists()
    assert not any(map(listens, ports))
    assert processes.strays(str(directory)) == []
    with pytest.raises(PlaygroundError, match="bring it up first"):
        Playground.open(directory)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(("playground.json", "etcd.pid", "ca.crt"), id="record-and-pid-file-lost"),
        pytest.param(("clusters",), id="cluster-folder-lost"),
        pytest.param((), id="whole-directory-lost"),
    ],
)
def test_down_ends_what_a_damaged_directory_left_running(tmp_path: Path, damage: tuple[str, ...]) -> None:
    directory = tmp_path / "pg"
    playground = Playground.up(directory, ("one",), report=ignore)
    ports = [port_of(playground.clusters["one"])]
    for name in damage or ("",):
        victim = directory / name
        shutil.rmtree(victim) if victim.is_dir() else victim.unlink()
    playground.down()
    assert not directory.exists()
    assert not any(map(listens, ports))
    assert processes.strays(str(directory)) == []


def test_a_port_taken_meanwhile_is_named(breakable: Playground) -> None:
    cluster = breakable.clusters["m3"]
    breakable.kill("m3")
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", port_of(cluster)))
        thief.listen()
        with pytest.raises(PlaygroundError, match=f"m3: port {port_of(cluster)} of 127.0.0.1 is taken"):
            breakable.restart("m3")
    assert breakable.restart("m3").url == cluster.url


def test_a_new_cluster_takes_another_port_when_its_own_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "pg"
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", 0))
        thief.listen()
        real = processes.free_port
        offers = iter([thief.getsockname()[1], real(set()), thief.getsockname()[1]])  # etcd, etcd again, API server
        monkeypatch.setattr(processes, "free_port", lambda taken: next(offers, None) or real(taken))
        try:
            playground = Playground.up(directory, ("one",), report=ignore)
            assert port_of(playground.clusters["one"]) != thief.getsockname()[1]
            config = yaml.safe_load(playground.kubeconfig.read_text())
            assert config["clusters"][0]["cluster"]["server"] == playground.clusters["one"].url
        finally:
            Playground(directory, report=ignore).down()


def test_the_verbs_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    try:
        file = verbs.up("trial", ("one",), report=ignore)
        assert file == verbs.kubeconfig("trial") == tmp_path / "federation" / "playground" / "trial" / "kubeconfig"
        seen = []
        for verb in (verbs.pause, verbs.resume, verbs.kill, verbs.resume):
            verb("one", "trial", report=ignore)
            row = next(row for row in verbs.status("trial") if row.process == "kube-apiserver")
            seen.append((verb.__name__, row.state, row.ready))
        assert seen == [
            ("pause", State.PAUSED, False),
            ("resume", State.RUNNING, True),
            ("kill", State.STOPPED, False),
            ("resume", State.RUNNING, True),
        ]
        assert {row.process for row in verbs.status("trial")} == {"etcd", "kube-apiserver", "kube-controller-manager"}
        verbs.kill("one", "trial", report=ignore)
        with pytest.raises(PlaygroundError, match="one is not running: resume it first"):
            verbs.pause("one", "trial", report=ignore)
    finally:
        assert verbs.down("trial", report=ignore)
    assert not verbs.down("trial", report=ignore)
