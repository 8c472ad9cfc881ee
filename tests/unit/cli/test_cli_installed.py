"""What `pip install` puts into PATH: the commands by their entry points, and kubefed-krm as kustomize runs it."""

import configparser
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

from federation.federating import resourcelist

TOP = Path(__file__).parents[3]
COMMANDS = ("fedctl", "kubectl-fed", "kubefed-krm", "kubefedctl", "typegen")
PLAIN: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings", "namespace": "shop"},
    "data": {"currency": "EUR"},
}
CONFIG = {"apiVersion": resourcelist.CONFIG_VERSION, "kind": "Federate", "metadata": {"name": "everything"}}


def installed(command: str) -> str:
    """Its executable, beside this interpreter's."""
    return str(Path(sys.executable).with_name(command))


def krm(spec: dict[str, Any], directory: Path) -> subprocess.CompletedProcess[str]:
    """One run as kustomize makes it: no arguments, a ResourceList on stdin, some other working directory."""
    given = {
        "apiVersion": "config.kubernetes.io/v1",
        "kind": "ResourceList",
        "items": [PLAIN],
        "functionConfig": {**CONFIG, "spec": spec},
    }
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(  # noqa: S603 - our own command
        [installed("kubefed-krm")],
        input=yaml.safe_dump(given),
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_an_entry_point_of_the_distribution(command: str) -> None:
    (found,) = metadata.entry_points(group="console_scripts", name=command)
    assert found.dist is not None
    assert found.dist.metadata["Name"] == "kubefed-successor"
    assert callable(found.load())
    assert os.access(installed(command), os.X_OK)


def test_every_package_is_installed_and_only_names_of_ours_are() -> None:
    config = configparser.ConfigParser()
    config.read(TOP / "setup.cfg")
    named = set(config["options"]["packages"].split())
    found = {
        str(init.parent.relative_to(TOP)).replace(os.sep, ".")
        for folder in ("federation", "typegen")
        for init in (TOP / folder).rglob("__init__.py")
    }
    assert named == found | {"typegen._templates"}, "setup.cfg lists the packages: templates/ has no package of its own"


def test_kubefed_krm_federates_what_it_is_given(tmp_path: Path) -> None:
    ran = krm({"types": [{"apiVersion": "v1", "kind": "ConfigMap"}], "placement": {"clusters": ["east"]}}, tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    answer = yaml.safe_load(ran.stdout)
    (made,) = answer["items"]
    assert (answer["kind"], made["kind"]) == ("ResourceList", "FederatedConfigMap")
    assert made["metadata"] == PLAIN["metadata"]
    assert made["spec"] == {"template": {"data": PLAIN["data"]}, "placement": {"clusters": [{"name": "east"}]}}


def test_kubefed_krm_fails_the_build_with_a_message(tmp_path: Path) -> None:
    ran = krm({"place": {"clusters": ["east"]}}, tmp_path)
    assert ran.returncode == 1
    assert "spec.place: is not known" in ran.stderr
    assert "Traceback" not in ran.stderr
