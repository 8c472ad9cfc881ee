"""The kind provider against a `kind` that records its arguments and answers as kind does."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from federation.playground import layout, verbs
from federation.playground.errors import PlaygroundError
from federation.playground.processes import State
from federation.playground.provider_kind import KindPlayground

KIND = """#!{python}
import json, pathlib, sys
log, store = pathlib.Path({log!r}), pathlib.Path({store!r})
arguments = sys.argv[1:]
with log.open("a") as file:
    file.write(json.dumps(arguments) + "\\n")
clusters = json.loads(store.read_text()) if store.exists() else []
name = arguments[arguments.index("--name") + 1] if "--name" in arguments else ""
if arguments[:2] == ["create", "cluster"]:
    if name.endswith("broken"):
        print("ERROR: failed to create cluster: no Docker here", file=sys.stderr)
        sys.exit(1)
    store.write_text(json.dumps([*clusters, name]))
    pathlib.Path(arguments[arguments.index("--kubeconfig") + 1]).write_text("kind's own")
elif arguments[:2] == ["delete", "cluster"]:
    store.write_text(json.dumps([each for each in clusters if each != name]))
elif arguments[:2] == ["get", "clusters"]:
    print("\\n".join(clusters))
elif arguments[:2] == ["get", "kubeconfig"]:
    print(json.dumps({{
        "clusters": [{{"name": "kind-" + name, "cluster": {{"server": "https://127.0.0.1/" + name}}}}],
        "users": [{{"name": "kind-" + name, "user": {{"client-certificate-data": "of " + name}}}}],
    }}))
"""


class Kind:
    """The recorded calls, and the playground that makes them."""

    def __init__(self, root: Path) -> None:
        self.log = root / "kind.log"
        self.directory = root / "state" / "federation" / "playground" / "demo"
        binary = root / "bin" / "kind"
        binary.parent.mkdir()
        binary.write_text(KIND.format(python=sys.executable, log=str(self.log), store=str(root / "clusters.json")))
        binary.chmod(0o755)

    def calls(self, verb: str) -> list[list[str]]:
        calls = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return [call for call in calls if call[0] == verb]

    def up(self, *names: str) -> KindPlayground:
        return KindPlayground.up(self.directory, names, report=lambda _: None)


@pytest.fixture
def kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kind:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Kind(tmp_path)


def test_up_creates_what_is_missing_and_names_contexts_as_clusters(kind: Kind) -> None:
    kind.up("m1")
    playground = kind.up("m1", "host")
    created = [call[call.index("--name") + 1] for call in kind.calls("create")]
    assert created == ["demo.m1", "demo.host"]
    config = yaml.safe_load(playground.kubeconfig.read_text())
    assert [each["name"] for each in config["contexts"]] == ["host", "m1"]
    assert config["current-context"] == "host"
    assert config["clusters"][1] == {"name": "m1", "cluster": {"server": "https://127.0.0.1/demo.m1"}}
    assert config["users"][1] == {"name": "m1", "user": {"client-certificate-data": "of demo.m1"}}
    assert playground.kubeconfig.stat().st_mode & 0o077 == 0


def test_the_users_own_kubeconfig_is_never_touched(kind: Kind) -> None:
    kind.up("m1").down()
    calls = (*kind.calls("create"), *kind.calls("delete"))
    assert len(calls) == 2
    for call in calls:
        assert Path(call[call.index("--kubeconfig") + 1]).parent == kind.directory


def test_down_deletes_this_playgrounds_clusters_only(kind: Kind) -> None:
    other = KindPlayground.up(kind.directory.with_name("demo-2"), ("m1",), report=lambda _: None)
    kind.up("host", "m1").down()
    deleted = [call[call.index("--name") + 1] for call in kind.calls("delete")]
    assert deleted == ["demo.host", "demo.m1"]
    assert [each.name for each in other.clusters] == ["m1"]
    assert not kind.directory.exists()


def test_kinds_own_words_are_passed_on(kind: Kind) -> None:
    with pytest.raises(PlaygroundError, match="no Docker here"):
        kind.up("broken")


def test_without_kind_the_error_says_what_to_do(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PlaygroundError, match="no `kind` in PATH: install it"):
        kind.up("m1")


def test_a_playground_that_kind_cannot_make_is_in_nobodys_way(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `kind`, neither `up` nor `down` could ever pass a directory that is marked as kind's."""
    with monkeypatch.context() as without:
        without.setenv("PATH", "")
        with pytest.raises(PlaygroundError, match="no `kind` in PATH"):
            verbs.up("demo", ("host",), provider="kind", report=lambda _: None)
    assert not layout.default_directory("demo").exists()


def test_the_verbs_know_a_playground_of_kind(kind: Kind) -> None:
    file = verbs.up("demo", ("host", "m1"), provider="kind", report=lambda _: None)
    assert file == verbs.kubeconfig("demo") == layout.default_directory("demo") / "kubeconfig"
    assert [(row.cluster, row.process, row.state) for row in verbs.status("demo")] == [
        ("host", "demo.host", State.RUNNING),
        ("m1", "demo.m1", State.RUNNING),
    ]
    with pytest.raises(PlaygroundError, match="runs on kind"):
        verbs.pause("m1", "demo")
    with pytest.raises(PlaygroundError, match="of provider 'kind'"):
        verbs.up("demo", ("host",))
    assert verbs.down("demo")
    assert kind.calls("delete") != []


def test_verbs_without_a_playground_say_how_to_make_it(kind: Kind) -> None:
    asks: list[Callable[[], object]] = [
        lambda: verbs.kubeconfig("demo"),
        lambda: verbs.status("demo"),
        lambda: verbs.pause("m1", "demo"),
        lambda: verbs.kill("m1", "demo"),
    ]
    for ask in asks:
        with pytest.raises(PlaygroundError, match="no playground 'demo': `fedctl playground up --name demo` makes one"):
            ask()
    assert not verbs.down("demo", report=lambda _: None)
    assert not (kind.directory.parent / "demo.lock").exists()
