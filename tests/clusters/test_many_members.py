"""A fleet of simulated members and one real cluster: joined in one call, and an object placed on all of them."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import orjson
import pytest

from federation.joining import setup
from federation.model.resources import NAMESPACES
from federation.playground.clusters import Playground
from tests.clusters import sessions
from tests.clusters.fedctl import fedctl
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_NAMESPACES,
    Api,
    Controller,
    eventually,
    federated,
    ready,
)

SIMULATED = tuple(f"s{number}" for number in range(1, 21))
MEMBERS = ("real", *SIMULATED)


@pytest.fixture(scope="module")
def simulated() -> Iterator[Playground]:
    with sessions.directory() as directory:
        yield Playground.up(
            directory,
            ("host", "real"),
            controller_manager=("host", "real"),
            simulated=SIMULATED,
            report=lambda _: None,
        )


@pytest.fixture(scope="module")
def controller(simulated: Playground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    kubeconfig = str(simulated.kubeconfig)
    types = ("namespaces", "configmaps")
    asyncio.run(setup.everything(kubeconfig, "host", (), types, settings=setup.NOTHING_HELD))
    made = Controller(simulated.kubeconfig, tmp_path_factory.mktemp("controller"))
    made.start()
    try:
        joined = fedctl("join", *MEMBERS, "--wait", "--kubeconfig", kubeconfig, "--host-cluster-context", "host")
        assert joined.code == 0, joined.err
        assert f"{len(MEMBERS)} clusters are Ready" in joined.err
        yield made
    finally:
        made.kill()


async def test_an_object_reaches_every_member_and_leaves_it_again(
    simulated: Playground, controller: Controller, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        apis = {name: await stack.enter_async_context(Api(each)) for name, each in simulated.clusters.items()}
        host = apis.pop("host")

        async def holding(text: str) -> bool:
            found = [await api.get(CONFIGMAPS, "shop", "web") for api in apis.values()]
            return all(each is not None and each["data"] == {"a": text} for each in found)

        await host.apply(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        await host.apply(
            FEDERATED_NAMESPACES, federated(FEDERATED_NAMESPACES, "shop", "shop", None, clusters=[*MEMBERS])
        )
        body = federated(FEDERATED_CONFIGMAPS, "shop", "web", {"data": {"a": "one"}}, clusters=[*MEMBERS])
        await host.apply(FEDERATED_CONFIGMAPS, body)
        await eventually(lambda: holding("one"), within=60)

        async def settled() -> bool:
            return ready(await host.get(FEDERATED_CONFIGMAPS, "shop", "web"))

        await eventually(settled)
        stored = await host.get(FEDERATED_CONFIGMAPS, "shop", "web")
        assert stored is not None
        assert {each["name"] for each in stored["status"]["clusters"]} == set(MEMBERS)

        # A change, which is one line beforehand, a member's drift, and a member that is left out.
        body["spec"]["template"]["data"]["a"] = "two"
        file = tmp_path / "web.json"
        file.write_bytes(orjson.dumps(body))
        at = ("--kubeconfig", str(simulated.kubeconfig), "--host-cluster-context", "host")
        planned = await asyncio.to_thread(fedctl, "plan", "-f", str(file), *at)
        assert planned.code == 1, planned.err
        assert f"  ~ change in {len(MEMBERS)} clusters (real, s1, ...)" in planned.out.splitlines()
        await host.apply(FEDERATED_CONFIGMAPS, body)
        await eventually(lambda: holding("two"), within=60)
        await apis["s7"].patch(CONFIGMAPS, "shop", "web", {"data": {"a": "theirs"}})
        await eventually(lambda: holding("two"))
        body["spec"]["placement"]["clusters"] = [{"name": name} for name in MEMBERS if name not in {"s7", "real"}]
        await host.apply(FEDERATED_CONFIGMAPS, body)

        async def gone() -> bool:
            found = {name: await api.get(CONFIGMAPS, "shop", "web") for name, api in apis.items()}
            return {name for name, each in found.items() if each is None} == {"s7", "real"}

        await eventually(gone)

        # A deleted federated namespace takes the members' along, in simulated ones, too.
        await host.delete(FEDERATED_NAMESPACES, "shop", "shop")

        async def nowhere() -> bool:
            return not any([await api.get(NAMESPACES, "", "shop") for api in apis.values()])

        await eventually(nowhere, within=60)


def test_a_member_leaves_and_joins_again(simulated: Playground, controller: Controller) -> None:
    at = ("--kubeconfig", str(simulated.kubeconfig), "--host-cluster-context", "host")
    left = fedctl("unjoin", "s3", *at)
    assert left.code == 0, left.err
    again = fedctl("join", "s3", "--wait", *at)
    assert again.code == 0, again.err
