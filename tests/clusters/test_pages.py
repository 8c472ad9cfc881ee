"""README's and the docs' commands, run as a reader would type them: page by page, from top to bottom, in bash.

Two kinds of pages. Those for newcomers begin with nothing and bring everything up themselves. The others are about a
federation that runs: `pages/shop.sh` brings one up for all of them, and a page may have more to begin with, in
`pages/NAME.sh`, as the text before its first block tells it.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from federation.playground import binaries
from tests import pages
from tests.clusters import kustomize, sessions

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

HERE = Path(__file__).parent / "pages"
NEWCOMERS = ("README.md", "docs/tutorial.md")
OFFLINE = ("docs/gitops.md", "docs/typegen.md")
RUN = {page: blocks for page in pages.pages() if (blocks := [each for each in pages.blocks(page) if each.codes])}
NAMES = [str(page.relative_to(pages.ROOT)) for page in RUN]
_FEDCTL = """#!/bin/sh
# What is followed is followed until a person has seen enough.
case " $* " in
*" -f "*) case "$1" in events | logs) timeout -s INT 3 {fedctl} "$@"; exit 0 ;; esac ;;
esac
exec {fedctl} "$@"
"""


@dataclass(frozen=True)
class Terminal:
    """A reader's terminal: a working directory, and the programs in PATH."""

    directory: Path
    environment: dict[str, str]

    def run(self, text: str) -> None:
        """Run a script in bash with job control; it ends with 0."""
        (self.directory / ".script").write_text(f"set -m\n{text}")
        with (self.directory / ".output").open("w+") as output:
            code = subprocess.call(
                ["/bin/bash", ".script"],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=360,
            )
            output.seek(0)
            assert code == 0, output.read()[-6000:]


def terminal(directory: Path, state: Path) -> Terminal:
    """With fedctl, typegen, kubectl and kustomize in PATH, and playgrounds of its own."""
    programs = directory / ".bin"
    programs.mkdir(parents=True)
    installed = Path(sys.executable).parent
    (programs / "fedctl").write_text(_FEDCTL.format(fedctl=installed / "fedctl"))
    (programs / "fedctl").chmod(0o755)
    (programs / "kubectl").symlink_to(binaries.ensure((binaries.KUBECTL,), print)[binaries.KUBECTL])
    (programs / "kustomize").symlink_to(kustomize.find())
    path = os.pathsep.join((str(programs), str(installed), os.environ["PATH"]))
    return Terminal(directory, os.environ | {"PATH": path, "XDG_STATE_HOME": str(state)})


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal in what looks like a clone. Playgrounds are down afterwards."""
    with sessions.directories() as state:
        made = terminal(tmp_path / "clone", state)
        for each in pages.ROOT.iterdir():
            if not each.name.startswith("."):
                (made.directory / each.name).symlink_to(each)
        installed = made.directory / ".venv"  # up to date, so that make installs nothing from here
        installed.mkdir()
        (installed / "bin").symlink_to(Path(sys.executable).parent)
        (installed / ".installed").touch()
        yield made


@pytest.mark.parametrize("page", NEWCOMERS)
def test_a_newcomers_page(clone: Terminal, page: str) -> None:
    clone.run("trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + pages.script(RUN[pages.ROOT / page]))


@pytest.mark.parametrize("page", OFFLINE)
def test_a_page_about_files(tmp_path: Path, page: str) -> None:
    made = terminal(tmp_path / "repository", tmp_path)
    shutil.copytree(pages.ROOT / "e2e" / "gitops", made.directory, dirs_exist_ok=True)
    made.run(_begin(page) + pages.script(RUN[pages.ROOT / page]))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A federation with members east and west, and a terminal in a folder with its files."""
    with sessions.directories() as state:
        made = terminal(tmp_path_factory.mktemp("shop") / "files", state)
        shutil.copytree(HERE / "shop", made.directory, dirs_exist_ok=True)
        made.environment["KUBECONFIG"] = str(state / "federation" / "playground" / "default" / "kubeconfig")
        try:
            made.run("set -e\n" + (HERE / "shop.sh").read_text())
            yield made
        finally:
            pid = made.directory / "controller.pid"
            if pid.exists():
                os.kill(int(pid.read_text()), signal.SIGTERM)


@pytest.mark.parametrize("page", [each for each in NAMES if each not in (*NEWCOMERS, *OFFLINE)])
def test_a_page_about_a_running_federation(shop: Terminal, page: str) -> None:
    shop.run(
        "set -e\n"
        + (HERE / "again.sh").read_text()
        + _begin(page)
        + "\nset +e\n"
        + pages.script(RUN[pages.ROOT / page])
    )


def _begin(page: str) -> str:
    """What a page begins with, beside what all of them do."""
    file = HERE / f"{Path(page).stem}.sh"
    return file.read_text() if file.exists() else ""
