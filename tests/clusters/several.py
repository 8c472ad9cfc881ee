"""What tests of several controllers on one hub share: who has written what, and each on a machine of its own."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterable

from federation.kube import decoding
from federation.kube.listing import Collection
from federation.kube.reflector import Reflector
from federation.model.federated import Metadata
from federation.playground.faultproxy import FaultProxy
from federation.playground.faults import Logged
from tests.clusters.faulty import Faulty
from tests.clusters.harness import CONFIGMAPS, Api, Controller


def on_machine(name: str) -> str:
    """Python that a controller runs first: as if on a machine of its own, nobody else knows whether it has ended."""
    return f"from federation.runtime import machine; machine._machine = lambda: {name!r}"


async def lead_by(faulty: Faulty, lease: dict[str, str]) -> None:
    """Shorter times of the Lease; the fleet's own controller stops."""
    await faulty.configure({"leaderElect": lease})
    await asyncio.to_thread(faulty.controller.stop)


async def kill(controllers: Iterable[Controller]) -> None:
    """End them, also those that were stopped by a signal."""
    for each in controllers:
        if each.process is not None and each.process.poll() is None:
            os.kill(each.pid, signal.SIGCONT)
        await asyncio.to_thread(each.kill)


def writes(proxies: Iterable[FaultProxy], agent: str) -> list[Logged]:
    """What this controller has sent to the hub or a member that is no read; the election aside."""
    return [each for proxy in proxies for each in proxy.requests.writes() if each.user_agent.startswith(f"{agent}/")]


class Changes:
    """How often each ConfigMap of a namespace has changed in a member, its creation included."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.times: Counter[str] = Counter()
        collection = Collection(
            path=CONFIGMAPS.collection(namespace), decode=decoding.metadata, version=lambda item: item.resource_version
        )
        self._task = asyncio.ensure_future(Reflector(api.connection, collection, self).run())

    def replace(self, items: Iterable[Metadata]) -> None:
        self.times.update(item.name for item in items)

    def upsert(self, item: Metadata) -> None:
        self.times[item.name] += 1

    def remove(self, item: Metadata) -> None:
        self.times[item.name] += 1

    async def stop(self) -> None:
        await asyncio.sleep(0.5)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
