"""The member that the host cannot reach: its agent's process, and its link to the host, which can be cut.

The link is a port that passes bytes on to the host's; it is cut by ending its process. Beside it nothing connects the
agent with the host, and nothing at all the host with the member.
"""

import dataclasses
import shlex
import socket
import sys
import urllib.error
import urllib.request

from e2e.demo.clusters import EDGE, FEDCTL, HOST, Clusters
from federation.joining import agents, tokens
from federation.kube.connection import Connection
from federation.model.resources import ObjectName
from federation.playground import access, processes
from federation.playground.clusters import Playground

AGENT, LINK = "agent", "link"
ACCOUNT = "work-agent"
"""The agent's service account, as `fedctl register` makes it."""


class Edge:
    """EDGE's agent and its link."""

    def __init__(self, clusters: Clusters) -> None:
        self._clusters = clusters
        self._link = processes.free_port(set())
        self._health = 0
        self.hub = f"https://127.0.0.1:{self._link}"
        """The host's address at the end of the link."""

    def mend(self) -> None:
        """The link lets through from now on."""
        server = Playground.open(self._clusters.directory).clusters[HOST].url.rpartition(":")[2]
        command = [sys.executable, "-m", "federation.playground.relay", str(self._link), server]
        self._clusters.start(LINK, command, self._listens)

    def cut(self) -> None:
        """It does not, and what was open is closed."""
        self._clusters.end(LINK)

    async def start_agent(self, member: Connection) -> None:
        """Start the agent with the rights of its own service account in the member, as in a pod there."""
        account = ObjectName(agents.NAMESPACE, ACCOUNT)
        token = (await tokens.request(member, account)).token
        cluster = dataclasses.replace(Playground.open(self._clusters.directory).clusters[EDGE], token=token)
        config = self._clusters.kubeconfig_of(AGENT)
        config.touch(mode=0o600)
        config.write_bytes(access.kubeconfig([cluster]))
        self._health, metrics = (processes.free_port(set()) for _ in range(2))
        arguments = ["agent", "run", "--log-format", "console", "--kubeconfig"]
        self._clusters.report("$ " + shlex.join(["fedctl", *arguments, config.name]) + f"   # as {EDGE}'s {account}")
        arguments += [str(config), f"--metrics-bind-address=127.0.0.1:{metrics}"]
        arguments += [f"--health-probe-bind-address=127.0.0.1:{self._health}"]
        self._clusters.log(AGENT).unlink(missing_ok=True)
        alive = f"http://127.0.0.1:{self._health}/livez"
        self._clusters.start(AGENT, [str(FEDCTL), *arguments], lambda: access.reachable(alive))

    def hears(self) -> str:
        """What the agent says of its hub: "ok", or since when that is silent."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._health}/hubz", timeout=5) as answer:
                return str(answer.read().decode()).strip()
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode().strip()

    def _listens(self) -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self._link)) == 0
