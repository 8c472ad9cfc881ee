"""A real host and simulated members, all joined as `fedctl join` does it, and a controller process."""

import asyncio
import time

from federation.comparing import meter
from federation.comparing.client import Client
from federation.comparing.fleet import HOST, SimulatedFleet, all_ready, quiet, unready
from federation.joining import joins
from federation.joining.contexts import Contexts
from federation.joining.objects import Wanted


class ScaleFleet(SimulatedFleet):
    """Use as a context manager, as Fleet."""

    async def rejoin(self, name: str, endpoint: str) -> None:
        """Let the controller reach a member at another address."""
        async with Contexts(str(self.playground.kubeconfig)) as contexts:
            wanted = Wanted(name, HOST, api_endpoint=endpoint, rotate=True, error_on_existing=False)
            await joins.join(await contexts.open(HOST), await contexts.open(name), wanted, quiet)

    async def all_ready(self, host: Client, *, within: float = 600.0) -> float:
        """Wait until every KubeFedCluster is Ready; the time when that was seen (perf_counter)."""
        return await all_ready(host, self.members, within=within)

    async def not_ready(self, host: Client, name: str, *, within: float = 600.0) -> None:
        """Wait until this KubeFedCluster, and no other, is reported as not Ready."""
        ends = time.monotonic() + within
        while True:
            found = await unready(host)
            if found - {name}:
                raise RuntimeError(f"healthy members are not Ready: {', '.join(sorted(found - {name})[:5])}")
            if found:
                return
            if time.monotonic() > ends:
                raise TimeoutError(f"{name} is still Ready after {within:g} s")
            await asyncio.sleep(0.5 + len(self.members) / 500)

    def resident(self) -> float:
        """The controller's memory in MB; of several processes, the largest one's."""
        return max(map(meter.resident, self.controllers))
