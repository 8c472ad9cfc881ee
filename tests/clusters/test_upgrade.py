"""Upgrade and roll back: an earlier controller's objects are not written again by this one, nor by that one afterwards.

CRDs and rights are those of today, as both ways have it: they are upgraded before the controller, and stay when it goes
back.
"""

import asyncio
import subprocess
import tarfile
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from federation.model.resources import Resource
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_DEPLOYMENTS,
    FEDERATED_NAMESPACES,
    FEDERATED_SECRETS,
    FEDERATED_SERVICES,
    Api,
    Controller,
    eventually,
    federated_namespace,
)
from tests.clusters.steps import alone, make, writes

TOP = Path(__file__).parents[2]
EARLIER = {
    "before the leader": "8be483b0f029de87ddf31de6f133ecacb6484be0",
    "before held deletions": "f7a238a",
}
"""Commits of ours: the last before controllers elected a leader, and an older one. Releases will be tags."""
POD = {"containers": [{"name": "web", "image": "web:1"}]}
OBJECTS: tuple[tuple[Resource, dict[str, Any]], ...] = (
    (FEDERATED_CONFIGMAPS, {"data": {"k": "v"}}),
    (FEDERATED_SECRETS, {"stringData": {"k": "v"}}),
    (FEDERATED_SERVICES, {"spec": {"ports": [{"port": 80}], "selector": {"app": "web"}}}),
    (
        FEDERATED_DEPLOYMENTS,
        {
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": POD},
            }
        },
    ),
)


@pytest.fixture
async def running(fleet: Fleet) -> AsyncIterator[Fleet]:
    """The fleet without its controller, which runs again afterwards."""
    if fleet.controller.process is not None:
        fleet.controller.stop()
    yield fleet
    fleet.controller.start()


@pytest.fixture
def members(m1: Api, m2: Api) -> tuple[Api, ...]:
    """Both."""
    return m1, m2


def checkout(commit: str, folder: Path) -> Path:
    """The tree of a commit. A clone without history, or an export, has none: then there is nothing to compare with."""
    archive = subprocess.run(  # noqa: S603
        ["git", "-C", str(TOP), "archive", commit, "federation", "typegen", "templates"],  # noqa: S607
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        pytest.skip(f"{commit} is not in this clone's history")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as opened:
        opened.extractall(folder, filter="data")
    return folder


async def sent(members: tuple[Api, ...], namespace: str) -> object:
    """How often each member was written, whatever, and the versions of the copies."""
    counted = [{key: count for key, count in (await writes(api)).items() if key[0] != "DELETE"} for api in members]
    copies = [
        {
            each["metadata"]["name"]: each["metadata"]["resourceVersion"]
            for each in await api.items(CONFIGMAPS, namespace)
        }
        for api in members
    ]
    kinds = {("APPLY", "configmaps"), ("APPLY", "secrets"), ("APPLY", "services"), ("APPLY", "deployments")}
    return [
        {key: count for key, count in each.items() if key in kinds or key[0] == "PATCH"} for each in counted
    ], copies


@pytest.mark.parametrize("commit", EARLIER.values(), ids=EARLIER)
async def test_upgrade_and_rollback_write_to_no_member(  # noqa: PLR0917 - fixtures
    running: Fleet, host: Api, members: tuple[Api, ...], namespace: str, tmp_path: Path, commit: str
) -> None:
    tree = checkout(commit, tmp_path / "tree")
    earlier = Controller(running.kubeconfig, tmp_path, before=f"import sys; sys.path.insert(0, {str(tree)!r})")
    clusters = ["m1", "m2"]
    earlier.start()
    try:
        assert "leader_election_master_status" not in earlier.metrics(), "it is the earlier one"
        await federated_namespace(host, namespace, clusters)
        for number, (resource, template) in enumerate(OBJECTS):
            thing = await make(host, resource, namespace, f"o{number}", template, clusters=clusters)
            await thing.settled()
        await alone(host, namespace, FEDERATED_NAMESPACES, *(resource for resource, _ in OBJECTS))
        assert earlier.stop() == 0
        before = await sent(members, namespace)
        for controller in (running.controller, earlier):
            controller.start()
            probe = await make(host, FEDERATED_CONFIGMAPS, namespace, "probe", {"data": {}}, clusters=[])
            await probe.delete()
            await probe.gone()
            await asyncio.sleep(3.0)  # longer than a first report waits
            assert await sent(members, namespace) == before
            assert controller.stop() == 0
    finally:
        earlier.kill()
        running.controller.kill()


async def test_a_change_after_the_upgrade_is_pushed_and_one_after_the_rollback(
    running: Fleet, host: Api, m1: Api, namespace: str, tmp_path: Path
) -> None:
    """The other side of it: neither of them stands still."""
    tree = checkout(EARLIER["before the leader"], tmp_path / "tree")
    earlier = Controller(running.kubeconfig, tmp_path, before=f"import sys; sys.path.insert(0, {str(tree)!r})")
    try:
        for number, controller in enumerate((earlier, running.controller, earlier)):
            controller.start()
            if number == 0:
                await federated_namespace(host, namespace, ["m1"])
                await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"n": "0"}}, clusters=["m1"])
            else:
                spec = {"spec": {"template": {"data": {"n": str(number)}}}}
                await host.patch(FEDERATED_CONFIGMAPS, namespace, "web", spec)

            async def pushed(value: str = str(number)) -> bool:
                return ((await m1.get(CONFIGMAPS, namespace, "web")) or {}).get("data") == {"n": value}

            await eventually(pushed, within=30.0)
            assert controller.stop() == 0
    finally:
        earlier.kill()
        running.controller.kill()
