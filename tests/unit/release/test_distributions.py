"""`python -m build`: the sdist has the whole project, and the wheel works where nothing else of the project is."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from charts import release
from federation import __version__
from typegen import templates

TOP = release.TOP
pytestmark = pytest.mark.timeout(600)


def run(*command: object, cwd: Path) -> str:
    """Its stdout; in an environment without this checkout."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    ran = subprocess.run(  # noqa: S603 - our own commands
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"{ran.stdout[-1000:]}\n{ran.stderr[-3000:]}"
    return ran.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both. No index is asked: setuptools is installed. The wheel is made from the sdist."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, TOP, cwd=out)
    return out


def test_the_source_distribution_has_what_builds_and_tests_need(built: Path) -> None:
    prefix = f"kubefed_successor-{__version__}/"
    with tarfile.open(built / f"{prefix[:-1]}.tar.gz") as archive:
        names = {name.removeprefix(prefix) for name in archive.getnames()}
    folders = ("federation", "typegen", "templates", "charts", "docs", "tests", "e2e", "scripts")
    if not (TOP / ".git").exists():
        pytest.skip("without git nothing says which files are the project's")
    listed = run("git", "ls-files", "-z", *folders, cwd=TOP)
    wanted = {name for name in listed.split("\0") if name and (TOP / name).exists()}
    assert wanted - names == set()
    assert {"LICENSE", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "setup.cfg"} <= names


def test_the_wheel_has_packages_manifests_and_licence_and_nothing_else(built: Path) -> None:
    with zipfile.ZipFile(built / f"kubefed_successor-{__version__}-py3-none-any.whl") as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {
        "federation",
        "typegen",
        f"kubefed_successor-{__version__}.dist-info",
    }
    assert any(name.endswith("/LICENSE") for name in names)
    assert {name.removeprefix("typegen/_templates/") for name in names if "_templates/" in name} == set(
        templates.names()
    )


def test_the_wheel_works_in_an_empty_environment(built: Path, tmp_path: Path) -> None:
    """Its dependencies come from the index, as for any user; nothing of this checkout or its .venv is there."""
    venv.create(tmp_path / "env", with_pip=True)
    bin_ = tmp_path / "env" / "bin"
    (wheel,) = built.glob("*.whl")
    run(bin_ / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=tmp_path)
    assert run(bin_ / "fedctl", "version", "--client", cwd=tmp_path).strip() == f"fedctl {__version__}"
    found = run(bin_ / "python", "-c", "import federation.app as app; print(app.__file__)", cwd=tmp_path)
    assert Path(found.strip()).is_relative_to(tmp_path)
    printed = list(yaml.safe_load_all(run(bin_ / "fedctl", "init", "-o", "yaml", cwd=tmp_path)))
    assert {each["kind"] for each in printed} >= {"CustomResourceDefinition", "ClusterRole", "KubeFedConfig"}
    assert "usage" in run(bin_ / "typegen", "--help", cwd=tmp_path).lower()
    assert "--metrics-bind-address" in run(bin_ / "fedctl", "controller", "run", "--help", cwd=tmp_path)
    assert "bash" in run(bin_ / "kubectl-fed", "completion", "--help", cwd=tmp_path)
