"""The chart on a real API server, by helm: installed, upgraded, and left alone by `fedctl init --image`.

The API server is this test's own: Helm refuses ClusterRoles that others have installed.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from charts import render
from federation.playground import access
from federation.playground.clusters import Playground
from federation.playground.errors import PlaygroundError
from tests import gotools
from tests.clusters import sessions
from tests.clusters.fedctl import Site
from tests.unit.release.test_helm import MODULE, VERSION

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def helm() -> Path:
    """Its path."""
    try:
        return gotools.find(MODULE, VERSION)
    except (subprocess.CalledProcessError, PlaygroundError, OSError) as error:
        pytest.skip(f"helm cannot be had here: {error}")


@pytest.fixture
def untouched(tmp_path: Path) -> Iterator[Site]:
    """A host that has nothing yet."""
    with sessions.directory() as directory:
        playground = Playground.up(directory, ("host",), report=lambda _: None)
        yield Site(playground, access.tls(playground.clusters["host"].ca_pem), "fed-system", tmp_path)
        playground.down()


def test_a_release_is_installed_upgraded_and_helms(helm: Path, untouched: Site) -> None:
    site = untouched

    def run(verb: str, *more: str) -> str:
        where = ("--kubeconfig", str(site.kubeconfig), "--kube-context", "host", "--namespace", site.namespace)
        ran = subprocess.run(  # noqa: S603 - our own command
            [str(helm), verb, "fed", *more, *where], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    where = f"/apis/apps/v1/namespaces/{site.namespace}/deployments/kubefed-controller"
    shown = run("install", str(render.CHART), "--create-namespace")
    assert "fedctl init --crds-only" in shown
    try:
        site.run("init", "--crds-only")
        run("upgrade", str(render.CHART), "--set", "controllermanager.controller.replicaCount=3")
        stored = site.get("host", where)
        assert stored is not None
        assert stored["spec"]["replicas"] == 3
        assert site.get("host", site.kubefed("kubefedconfigs", "kubefed")) is not None
        refused = site.run("init", "--image=example.com/federation:0.1.0", code=1)
        assert "belongs to the Helm release fed" in refused.err
        assert "warning" not in site.run("version").err
    finally:
        run("uninstall")
    assert site.get("host", where) is None
