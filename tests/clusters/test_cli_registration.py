"""The journey of a cluster in pull mode on the command line: the printed line is run as it is printed."""

import asyncio
import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from federation.model.resources import KUBEFED_CLUSTERS, SECRETS
from federation.registration import names
from tests.clusters.fedctl import Ran, fedctl
from tests.clusters.fleets import Fleet
from tests.clusters.harness import eventually
from tests.clusters.registering import Edge


@pytest.fixture
async def edge(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Edge]:
    async with Edge(fleet, tmp_path) as made:
        yield made


async def run(edge: Edge, *arguments: str, code: int = 0, context: str = "host") -> Ran:
    """`fedctl ARGUMENTS`, in a thread: it has an event loop of its own."""
    config = str(edge.fleet.playground.kubeconfig)
    ran = await asyncio.to_thread(fedctl, *arguments, "--kubeconfig", config, "--context", context)
    assert "Traceback" not in ran.err
    assert ran.code == code, ran.err + ran.out
    return ran


async def test_the_journey(edge: Edge) -> None:
    made = await run(edge, "token", "create", "--ttl", "1h", "--hub", edge.relay.url)
    (line,) = made.out.splitlines()
    words = shlex.split(line.replace("NAME", edge.cluster))
    assert words[:2] == ["fedctl", "register"]
    token = words[words.index("--token") + 1]
    name = made.err.partition("token ")[2].split()[0]
    assert name in (await run(edge, "token", "list")).out

    nobody = await run(edge, "accept", edge.cluster, code=1)
    assert f"nobody asks to be cluster {edge.cluster}" in nobody.err
    dry = await run(edge, *words[1:], "--namespace", edge.namespace, "--dry-run", context="m3")
    assert "would be created" in dry.err
    assert await edge.member.get(SECRETS, edge.namespace, names.BOOTSTRAP_SECRET) is None
    registered = await run(edge, *words[1:], "--namespace", edge.namespace, context="m3")
    assert token not in registered.out + registered.err
    said = re.search(r"agent (\w+) asks to be cluster", registered.err)
    assert said is not None
    agent = said[1]
    await edge.credentials()
    await edge.start(ready=False)
    await eventually(edge.asks, within=60.0)

    listed = (await run(edge, "get", "registrations", edge.cluster)).out
    assert [agent, "Waits", name] == [each for each in listed.split() if each in (agent, "Waits", name)]
    accepted = await run(edge, "accept", edge.cluster, "--label", "region=edge")
    assert f"agent {agent} asks since" in accepted.err
    assert f"with token {name}" in accepted.err
    await eventually(edge.is_ready, within=60.0)
    stored = await edge.host.get(KUBEFED_CLUSTERS, "kube-federation-system", edge.cluster)
    assert stored is not None
    assert stored["metadata"]["labels"] == {"region": "edge"}

    shown = (await run(edge, "get", "clusters")).out.splitlines()
    header, rows = shown[0].split(), {each.split()[0]: each.split() for each in shown[1:]}
    assert header[2:5] == ["PROBED", "MODE", "HEARTBEAT"]
    assert rows[edge.cluster][1] == "True"
    assert rows[edge.cluster][3] == "Pull"
    assert rows[edge.cluster][4].endswith("s"), "seconds ago"
    assert rows["m1"][3:5] == ["Push", "<none>"]

    refused = await run(edge, "unjoin", edge.cluster, code=1)
    assert "is a member in pull mode" in refused.err
    await run(edge, "token", "delete", name)
    assert name not in (await run(edge, "token", "list")).out
    edge.agent.kill()
    place = ("--cluster-context", "m3", "--namespace", edge.namespace)
    would = await run(edge, "unregister", edge.cluster, *place, "--dry-run")
    assert "would be deleted" in would.err
    assert await edge.is_ready()
    left = await run(edge, "unregister", edge.cluster, *place)
    assert "objects that were placed there stay" in left.err
    assert await edge.host.get(KUBEFED_CLUSTERS, "kube-federation-system", edge.cluster) is None
    again = await run(edge, "unregister", edge.cluster, *place, code=1)
    assert "is registered" in again.err
