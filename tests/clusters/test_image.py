"""The image's content, made as its Containerfile makes it: small, not to be written to, and a controller runs from it.

It runs as in a pod: uid 65532, its root is this tree and nothing else, mounted read-only, with a clean environment.
"""

import os
import shutil
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from federation import __version__
from federation.playground import binaries
from image import lock, root
from tests.clusters.fedctl import Site, site
from tests.clusters.test_cli_get import free_port

__all__ = ["site"]
pytestmark = pytest.mark.timeout(900)
_ENTER = """
import os, subprocess, sys
tree, files, *command = sys.argv[1:]
subprocess.run(["mount", "--bind", tree, tree], check=True)
subprocess.run(["mount", "-o", "remount,ro,bind", tree], check=True)
subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777,size=16m", "tmpfs", tree + "/tmp"], check=True)
subprocess.run(["mount", "-t", "proc", "proc", tree + "/proc"], check=True)
subprocess.run(["mount", "--bind", "/dev", tree + "/dev"], check=True)
with open(files) as source, open(tree + "/tmp/kubeconfig", "w") as target:
    target.write(source.read())
os.chmod(tree + "/tmp/kubeconfig", 0o644)
os.chroot(tree)
os.chdir("/")
os.setgroups([])
os.setgid(65532)
os.setuid(65532)
os.execve(command[0], command, {"PATH": "/usr/local/bin", "HOME": "/tmp", "PYTHONUNBUFFERED": "1"})
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content. Its wheels are downloaded once for each state of the lock files, and kept beside the binaries."""
    wheels = binaries.cache_root().with_name("tools") / f"wheels-{lock.digest()}"
    if not wheels.exists():
        scratch = wheels.with_name(f"{wheels.name}.{os.getpid()}")
        root.download(scratch)
        scratch.rename(wheels)
    made = tmp_path_factory.mktemp("image") / "root"
    root.make(made, wheels)
    made.parent.chmod(0o755)
    return made


def run(command: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
    """One command of ours; what it printed."""
    return subprocess.run(command, capture_output=True, text=True, check=False, **how)  # noqa: S603


def inside(tree: Path, kubeconfig: Path, *command: str) -> list[str]:
    """A command line that runs `command` with `tree` as its read-only root, as nobody in particular."""
    if os.getuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0:  # noqa: S607
        pytest.skip("only root may run something in another root")
    return ["unshare", "-m", sys.executable, "-c", _ENTER, str(tree), str(kubeconfig), *command]


def test_it_is_small_and_has_no_shell(tree: Path) -> None:
    assert root.size(tree) < root.MOST
    names = {path.name for path in tree.rglob("*")}
    assert not names & {"sh", "bash", "dash", "busybox", "apt", "dpkg", "pip", "ensurepip", "setuptools"}
    assert not any(path.name in {"_multiarray_umath", "tests"} for path in tree.rglob("*"))


def test_nobody_may_write_in_it_and_everybody_may_read(tree: Path) -> None:
    for path in [tree, *tree.rglob("*")]:
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode):
            assert not mode & (stat.S_IWGRP | stat.S_IWOTH | stat.S_ISUID | stat.S_ISGID), path
            assert mode & stat.S_IROTH, path


@pytest.fixture
def nothing(tmp_path: Path) -> Path:
    """An empty kubeconfig."""
    path = tmp_path / "kubeconfig"
    path.write_text("")
    return path


def test_it_can_write_nowhere_but_in_tmp(tree: Path, nothing: Path) -> None:
    program = (
        "import os\n"
        "print(os.getuid(), os.getgid())\n"
        "for folder in ('/', '/etc', '/usr/local/bin', '/tmp'):\n"
        "    try:\n"
        "        open(folder + '/x', 'w').close(); print(folder, 'written')\n"
        "    except OSError as error:\n"
        "        print(folder, error.strerror)\n"
    )
    ran = run(inside(tree, nothing, "/usr/local/bin/python3", "-I", "-c", program))
    first, *folders = ran.stdout.splitlines()
    assert first == "65532 65532"
    assert folders == [f"{name} Read-only file system" for name in ("/", "/etc", "/usr/local/bin")] + ["/tmp written"]  # noqa: S108


def test_every_locked_package_can_be_imported(tree: Path, nothing: Path) -> None:
    program = (
        "import aiohttp, celpy, click, cryptography.hazmat.bindings._rust, httptools, jinja2, "
        "kubernetes_asyncio.client, msgspec, orjson, prometheus_client, re2, rich.syntax, ssl, structlog, uvloop\n"
        "import federation.app, yaml\n"
        "print(len(ssl.create_default_context(cafile='/etc/ssl/certs/ca-certificates.crt').get_ca_certs()) > 10)\n"
    )
    ran = subprocess.run(  # noqa: S603 - our own command
        inside(tree, nothing, "/usr/local/bin/python3", "-I", "-c", program),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr, ran.stdout) == (0, "", "True\n")


def test_a_controller_runs_from_it(tree: Path, site: Site, tmp_path: Path) -> None:
    """On a real control plane, until it is ready; and it ends by SIGTERM with code 0."""
    site.run("init")
    metrics, health = free_port(), free_port()
    fedctl = inside(tree, site.kubeconfig, "/usr/local/bin/fedctl")
    shown = run([*fedctl, "version", "--client"])
    assert (shown.stdout, shown.stderr) == (f"fedctl {__version__}\n", "")
    command = [
        *(*fedctl, "controller", "run", "--kubeconfig=/tmp/kubeconfig", "--context=host"),
        f"--kubefed-namespace={site.namespace}",
        f"--metrics-bind-address=127.0.0.1:{metrics}",
        f"--health-probe-bind-address=127.0.0.1:{health}",
    ]
    path = tmp_path / "log"
    with path.open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:  # noqa: S603
        try:
            until = time.monotonic() + 120
            while not _answers(f"http://127.0.0.1:{health}/readyz"):
                assert process.poll() is None, path.read_text()
                assert time.monotonic() < until, path.read_text()
                time.sleep(0.2)
            assert _answers(f"http://127.0.0.1:{metrics}/metrics")
            process.terminate()
            assert process.wait(30) == 0, path.read_text()
        finally:
            process.kill()
    assert '"level":"error"' not in path.read_text()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def test_a_machine_without_a_builder_is_told_what_to_do(tmp_path: Path) -> None:
    for needed in ("sh", "sed", "git", "dirname"):
        (tmp_path / needed).symlink_to(shutil.which(needed) or needed)
    ran = run([str(root.HERE / "build"), "federation:1"], env={"PATH": str(tmp_path)})
    assert ran.returncode == 1
    assert "next: start one, or make the image's files by: python3 -m image.root FOLDER" in ran.stderr
