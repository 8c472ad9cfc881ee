"""Simulated members of a playground on real processes: up, again, grow, crash, down; beside a real cluster."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from federation.playground import access, processes
from federation.playground.access import LocalCluster
from federation.playground.clusters import Playground, Row
from federation.playground.errors import PlaygroundError
from federation.playground.processes import State
from tests.clusters.fedctl import fedctl

PATH = "/api/v1/namespaces/default/configmaps"


def ask(cluster: LocalCluster, method: str, path: str, body: bytes | None = None) -> int:
    return access.request(cluster, method, path, access.tls(cluster.ca_pem), body=body)[0]


def ignore(_: str) -> None:
    """Nobody reads what is reported."""


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "pg"
    Playground(tmp_path / "pg", report=ignore).down()


def row(playground: Playground, process: str) -> Row:
    return next(each for each in playground.status() if each.process == process)


def test_members_beside_a_real_cluster_and_more_of_them(directory: Path) -> None:
    playground = Playground.up(directory, ("real",), simulated=("a", "b"), report=ignore)
    before = playground.clusters
    assert list(before) == ["real", "a", "b"]
    assert [(each.cluster, each.process, each.state) for each in playground.status()] == [
        ("", "etcd", State.RUNNING),
        ("real", "kube-apiserver", State.RUNNING),
        ("a..b (2)", "etcd", State.RUNNING),
        ("a..b (2)", "kube-apiserver-many", State.RUNNING),
    ]
    config = yaml.safe_load(playground.kubeconfig.read_text())
    assert [each["name"] for each in config["contexts"]] == ["real", "a", "b"]
    assert {each["name"]: each["cluster"]["server"] for each in config["clusters"]} == {
        name: each.url for name, each in before.items()
    }
    assert ask(before["a"], "POST", PATH, b'{"metadata": {"name": "kept"}}') == 201

    reported: list[str] = []
    assert Playground.up(directory, ("real",), simulated=("a", "b"), report=reported.append).clusters == before
    assert not any("restarting" in line for line in reported)

    grown = Playground.up(directory, (), simulated=("c",), report=reported.append).clusters
    assert any("restarting" in line for line in reported)
    assert list(grown) == ["real", "a", "b", "c"]
    assert [grown[name].url for name in before] == [each.url for each in before.values()]
    assert grown["real"] == before["real"]
    assert [ask(grown[name], "GET", f"{PATH}/kept") for name in grown] == [404, 200, 404, 404]
    assert ask(grown["c"], "GET", "/api/v1/namespaces/kube-system") == 200


def test_what_a_crash_leaves_is_finished_by_the_next_run(directory: Path) -> None:
    playground = Playground.up(directory, (), simulated=("a", "b"), report=ignore)
    before = playground.clusters
    assert ask(before["a"], "POST", PATH, b'{"metadata": {"name": "kept"}}') == 201
    for victims in (("kube-apiserver-many",), ("etcd",), ("etcd", "kube-apiserver-many")):
        for process in victims:
            pid = row(playground, process).pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        after = Playground.up(directory, (), report=ignore).clusters
        assert [each.url for each in after.values()] == [each.url for each in before.values()]
        assert ask(after["a"], "GET", f"{PATH}/kept") == 200
        assert row(playground, "kube-apiserver-many").ready


def test_a_port_taken_meanwhile_is_named(directory: Path) -> None:
    playground = Playground.up(directory, (), simulated=("a", "b"), report=ignore)
    port = int(playground.clusters["b"].url.rpartition(":")[2])
    server = processes.identify(playground.clusters["b"].apiserver_pid or 0)
    assert server is not None
    processes.stop([server], grace=0)
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", port))
        thief.listen()
        with pytest.raises(PlaygroundError, match=f"b: {port}"):
            Playground.up(directory, (), report=ignore)
    assert Playground.up(directory, (), report=ignore).clusters["b"].url.endswith(str(port))


def test_new_members_take_other_ports_when_theirs_were_taken(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", 0))
        thief.listen()
        taken = thief.getsockname()[1]
        real, offers = processes.free_ports, iter([[taken]])

        def offer(avoid: set[int], count: int) -> list[int]:
            found = real(avoid, count)
            return [*next(offers, [found[0]]), *found[1:]] if count > 1 else found

        monkeypatch.setattr(processes, "free_ports", offer)
        clusters = Playground.up(directory, (), simulated=("a", "b"), report=ignore).clusters
    ports = [int(each.url.rpartition(":")[2]) for each in clusters.values()]
    assert taken not in ports
    assert [ask(each, "GET", "/api/v1/namespaces/default") for each in clusters.values()] == [200, 200]


def test_as_a_user_types_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    try:
        up = fedctl("playground", "up", "host", "m2", "--members", "4", "--shape", "many")
        assert up.code == 0, up.err
        assert "need at least" in up.err
        assert "m1..m4 (3): serving after" in up.err
        config = yaml.safe_load(Path(up.out.strip()).read_text())
        assert [each["name"] for each in config["contexts"]] == ["host", "m2", "m1", "m3", "m4"]
        table = fedctl("playground", "status", "--no-headers").out.splitlines()
        assert [line.split()[0] for line in table] == ["*", "host", "host", "m2", "m2", "m1..m4", "m1..m4"]
        for verb in ("kill", "pause", "resume"):
            refused = fedctl("playground", verb, "m3")
            assert refused.code == 1
            assert "m3 is simulated" in refused.err
        again = fedctl("playground", "up", "m3")
        assert again.code == 1
        assert "m3 is a simulated member of this playground" in again.err
    finally:
        down = fedctl("playground", "down")
    assert down.code == 0
    assert processes.strays(str(tmp_path / "federation" / "playground" / "default")) == []
    assert fedctl("playground", "up", "--shape", "many").code == 2
