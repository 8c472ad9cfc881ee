"""Simulated members before anything runs: which are meant, what they need, what is refused."""

import resource
from pathlib import Path

import pytest

from federation.playground import descriptors, layout, preparing, processes, simulating, verbs
from federation.playground.clusters import DEFAULT_NAMES, Playground
from federation.playground.errors import PlaygroundError
from federation.playground.layout import Layout, Shape
from federation.playground.recording import Recorder
from federation.runtime import openfiles


@pytest.mark.parametrize(
    ("line", "there", "real", "simulated"),
    [
        pytest.param(((), "", "real"), {}, DEFAULT_NAMES, (), id="nothing-said"),
        pytest.param((("east",), "", "real"), {}, ("east",), (), id="names"),
        pytest.param(((), "3", "many"), {}, ("host",), ("m1", "m2", "m3"), id="a-number"),
        pytest.param(((), "3", "real"), {}, ("host", "m1", "m2", "m3"), (), id="a-number-of-real-ones"),
        pytest.param((("host", "m2"), "3", "many"), {}, ("host", "m2"), ("m1", "m3"), id="mixed"),
        pytest.param(((), "3", "many"), {"m1": "real"}, ("host",), ("m2", "m3"), id="those-that-are-there-count"),
        pytest.param(((), "3", "real"), {"m1": "many"}, ("host", "m2", "m3"), (), id="in-either-shape"),
        pytest.param(((), "a, b,a", "many"), {}, ("host",), ("a", "b"), id="names-of-members"),
        pytest.param((("hub",), "a", "real"), {}, ("hub", "a"), (), id="names-of-real-members"),
        pytest.param(((), "a", "many"), {"a": "real"}, ("host",), ("a",), id="a-name-is-meant-as-it-is-said"),
    ],
)
def test_which_clusters_a_command_line_means(
    line: tuple[tuple[str, ...], str, Shape], there: dict[str, Shape], real: tuple[str, ...], simulated: tuple[str, ...]
) -> None:
    assert verbs.asked(*line, there) == (list(real), list(simulated))


def test_no_members_are_no_members() -> None:
    with pytest.raises(PlaygroundError, match="at least one"):
        verbs.asked((), "0", "many", {})


@pytest.mark.parametrize(
    ("names", "simulated", "message"),
    [
        pytest.param(("a",), ("a",), "a is a real cluster", id="both-at-once"),
        pytest.param((), ("real",), "real is a real cluster", id="real-before"),
        pytest.param(("many",), (), "many is a simulated member", id="simulated-before"),
    ],
)
def test_a_cluster_keeps_its_shape(
    tmp_path: Path, names: tuple[str, ...], simulated: tuple[str, ...], message: str
) -> None:
    files = Layout(tmp_path / "pg")
    before = preparing.prepare(files, ("real",), (), ("many",))
    with pytest.raises(PlaygroundError, match=message):
        preparing.prepare(files, names, (), simulated)
    assert layout.load(files) == before


def test_simulated_members_share_all_but_name_and_port(tmp_path: Path) -> None:
    files = Layout(tmp_path / "pg")
    recorder = Recorder(files, preparing.prepare(files, ("host",), (), [f"m{number}" for number in range(1, 301)]))
    recorder.move(recorder.record.clusters)
    clusters = preparing.read_clusters(files, recorder.record, recorder.record.clusters)
    assert list(clusters)[:2] == ["host", "m1"]
    assert len({each.url for each in clusters.values()}) == 301
    assert len({each.token for name, each in clusters.items() if name != "host"}) == 1
    assert len({each.token for each in clusters.values()}) == 2
    assert {each.ca_pem for each in clusters.values()} == {files.ca_certificate.read_text()}
    assert sorted(each.name for each in files.directory.joinpath("clusters").iterdir()) == ["host"]
    assert layout.load(files) == recorder.record


def test_whose_url_is_known_keeps_it(tmp_path: Path) -> None:
    files = Layout(tmp_path / "pg")
    recorder = Recorder(files, preparing.prepare(files, (), (), ("m1", "m2")))
    recorder.move(["m1", "m2"])
    recorder.born(["m1"])
    again = preparing.prepare(files, (), (), ("m1", "m2", "m3"))
    assert again.clusters["m1"] == recorder.record.clusters["m1"]
    assert (again.clusters["m1"].born, again.clusters["m2"].born, again.clusters["m3"].port) == (True, False, 0)


def test_a_single_one_cannot_be_killed(tmp_path: Path) -> None:
    files = Layout(tmp_path / "pg")
    preparing.prepare(files, (), (), ("m1", "m2"))
    playground = Playground.open(files.directory, report=lambda _: None)
    for act in (playground.kill, playground.pause, playground.resume, playground.restart):
        with pytest.raises(PlaygroundError, match="m1 is simulated: it shares a process"):
            act("m1")
    with pytest.raises(PlaygroundError, match="m2 is a simulated member"):
        playground.add("m2")


def test_free_ports_are_different_ones() -> None:
    taken = set(processes.PORTS[:-500])
    found = processes.free_ports(taken, 100)
    assert len(set(found)) == 100
    assert not set(found) & taken
    with pytest.raises(OSError, match=r"only \d+ free ports .* 500 needed"):
        processes.free_ports(set(processes.PORTS[:-100]), 500)


@pytest.mark.parametrize(
    ("names", "shown"), [(["m1"], "m1"), (["m4", "m5", "m6"], "m4..m6 (3)"), (["east", "west"], "east..west (2)")]
)
def test_many_members_in_a_few_characters(names: list[str], shown: str) -> None:
    assert simulating.label(names) == shown


# -- open files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "members", "reported"),
    [
        pytest.param(
            (20_000, 20_000), 1000, "at least 3,512 open files in one process; the limit of 20,000", id="enough"
        ),
        pytest.param((resource.RLIM_INFINITY,) * 2, 100, "at least 812 open files in one process", id="no-limit"),
    ],
)
def test_what_is_needed_is_reported_before_the_start(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], members: int, reported: str
) -> None:
    monkeypatch.setattr(openfiles, "raise_limit", lambda: limits)
    lines: list[str] = []
    descriptors.provide(members, lines.append)
    assert len(lines) == 1
    assert reported in lines[0]


def test_a_limit_that_is_too_low_is_an_error_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openfiles, "raise_limit", lambda: (4096, 4096))
    with pytest.raises(PlaygroundError, match=r"at least 6,512 open files .* limit is 4,096 .* at most 1,194 members"):
        descriptors.provide(2000, lambda _: None)
    descriptors.provide(1194, lambda _: None)
