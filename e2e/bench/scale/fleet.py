"""A real host and simulated members, all joined as `fedctl join` does it, and a controller process."""

import asyncio
import itertools
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from e2e.running import detail
from federation.comparing import meter
from federation.comparing.client import Client
from federation.comparing.fleet import HOST, Fleet, quiet
from federation.joining import joins, setup, several
from federation.joining.contexts import Contexts
from federation.joining.objects import Wanted
from federation.playground.access import LocalCluster
from federation.playground.clusters import Playground

CLUSTERS = "/apis/core.kubefed.io/v1beta1/namespaces/kube-federation-system/kubefedclusters"
_REPORT_EVERY = 100


class ScaleFleet(Fleet):
    """Use as a context manager, as Fleet."""

    def bring_up(self, members: int) -> None:
        """Start the host and so many simulated members, and install the federation; nobody joins yet."""
        self.members = tuple(f"m{number}" for number in range(1, members + 1))
        self.playground = Playground.up(self._directory / "playground", (HOST,), simulated=self.members, report=detail)
        asyncio.run(
            setup.everything(str(self.playground.kubeconfig), HOST, (), self.types, settings=setup.NOTHING_HELD)
        )

    @cached_property
    def clusters(self) -> Mapping[str, LocalCluster]:
        """Every cluster; read once, for a thousand are too many to read for each question."""
        return self.playground.clusters

    def cluster(self, name: str) -> LocalCluster:
        """One cluster as it was when all had come up."""
        return self.clusters[name]

    async def join_all(self) -> float:
        """Join every member; the time of the last one (perf_counter)."""
        lines = itertools.count(1)

        def some(line: str) -> None:
            if next(lines) % _REPORT_EVERY == 0:
                detail(line)

        async with Contexts(str(self.playground.kubeconfig)) as contexts:
            wanted = [Wanted(name, HOST) for name in self.members]
            errors = await several.join(contexts, await contexts.open(HOST), wanted, some)
            if errors:  # as a user does: of thousands on two cores, one may have been answered too late
                detail(f"{len(errors)} joins failed, and are tried once more: {next(iter(errors.values()))}")
                again = [replace(each, error_on_existing=False) for each in wanted if each.name in errors]
                errors = await several.join(contexts, await contexts.open(HOST), again, some)
        for error in errors.values():
            raise error
        return time.perf_counter()

    async def rejoin(self, name: str, endpoint: str) -> None:
        """Let the controller reach a member at another address."""
        async with Contexts(str(self.playground.kubeconfig)) as contexts:
            wanted = Wanted(name, HOST, api_endpoint=endpoint, rotate=True, error_on_existing=False)
            await joins.join(await contexts.open(HOST), await contexts.open(name), wanted, quiet)

    async def all_ready(self, host: Client, *, within: float = 600.0) -> float:
        """Wait until every KubeFedCluster is Ready; the time when that was seen (perf_counter)."""
        ends = time.monotonic() + within
        while True:
            unready = await _unready(host)
            if not unready:
                return time.perf_counter()
            if time.monotonic() > ends:
                raise TimeoutError(f"{len(unready)} of {len(self.members)} members are not Ready after {within:g} s")
            await asyncio.sleep(0.2 + len(self.members) / 2000)

    async def not_ready(self, host: Client, name: str, *, within: float = 600.0) -> None:
        """Wait until this KubeFedCluster, and no other, is reported as not Ready."""
        ends = time.monotonic() + within
        while True:
            found = await _unready(host)
            if found - {name}:
                raise RuntimeError(f"healthy members are not Ready: {', '.join(sorted(found - {name})[:5])}")
            if found:
                return
            if time.monotonic() > ends:
                raise TimeoutError(f"{name} is still Ready after {within:g} s")
            await asyncio.sleep(0.5 + len(self.members) / 500)

    def kill_controller(self) -> None:
        """SIGKILL: nothing is released, nothing is written."""
        for each in self._controllers:
            each.send_signal(signal.SIGKILL)
            each.wait()
        self.stop_controller()

    @property
    def members_pids(self) -> list[int]:
        """The processes of all simulated members: their API server and its etcd."""
        server = self.pid(self.members[0])
        found = self.playground.simulated_etcd
        assert found is not None  # it was brought up
        return [server, found.pid]

    @property
    def etcd_url(self) -> str:
        """Of the etcd that the simulated members share."""
        found = self.playground.simulated_etcd
        assert found is not None  # it was brought up
        return found.url

    def resident(self) -> float:
        """The controller's memory in MB; of several processes, the largest one's."""
        return max(map(meter.resident, self.controllers))


async def _unready(host: Client) -> set[str]:
    """KubeFedClusters that are not reported as Ready."""
    return {
        item["metadata"]["name"]
        for item in (await host.get(CLUSTERS))["items"]
        if not any(
            each["type"] == "Ready" and each["status"] == "True"
            for each in (item.get("status") or {}).get("conditions") or ()
        )
    }
