"""Keep in the member what is wanted, page by page, a little after it has changed: many changes are one write.

An agent that ends in good order writes what it has not yet written. One that is killed has lost the last seconds: what
it then has without its hub may be older than what was applied, which is not overwritten by it (work.deciding, `newer`).
"""

import asyncio
import contextlib
from collections.abc import Iterable

import orjson
import structlog

from federation.agent import metrics
from federation.agent.world import WorkState, World
from federation.kube.connection import APPLY_PATCH, METADATA, Connection
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.resources import SECRETS, ObjectName
from federation.model.works import KEPT_LABEL
from federation.runtime import backoff
from federation.work import keeping
from federation.work.keeping import Kept, Stored

DELAY = 5.0
"""Seconds without a change until the last ones are kept."""
LONGEST = 20.0
"""The same where there is always another one: of a crowd every page is written once or twice, not every few seconds."""
MANAGER = "work-agent-kept"
_DEADLINE = 30.0

log = structlog.get_logger()


class Keeper:
    """The pages of one agent."""

    def __init__(self, connection: Connection, world: World) -> None:
        self._connection = connection
        self._world = world
        self._pages: dict[str, str] = {}
        """The page of each work that is kept."""
        self._secrets: dict[str, tuple[str, ...]] = {}
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        self._writes = metrics.WRITES.labels(world.cluster, "kept")
        self.problem = ""
        """Why the last page could not be kept; "" where it could."""

    async def load(self) -> list[Kept]:
        """What was kept. Raises ApiFailure. A page that cannot be read is logged; its works are held until the hub says
        what they are."""
        params = {"labelSelector": f"{KEPT_LABEL}={self._world.agent}"}
        path = SECRETS.collection(self._world.namespace)
        answer = await self._connection.request("GET", path, params=params, secret=True, deadline=_DEADLINE)
        if isinstance(answer, Failure):
            raise ApiFailure(answer, "reading what was kept")
        stored = [
            Stored(each["metadata"]["name"], each["metadata"].get("annotations") or {}, each.get("data") or {})
            for each in orjson.loads(answer.body).get("items") or ()
        ]
        found = await asyncio.to_thread(keeping.assemble, stored)
        for page, why in found.broken:
            log.error("what was kept cannot be read", cluster=self._world.cluster, page=page, reason=why)
        self._secrets = found.secrets
        works = keeping.newest(found.works)
        for each in works.values():
            self._pages[each.name] = keeping.page_of(each.name, len(each.spec))
        return list(works.values())

    def changed(self, state: WorkState) -> None:
        """Something of the work is to be kept, or it is gone."""
        page = keeping.page_of(state.name, len(state.spec))
        before = self._pages.get(state.name)
        if before is not None and before != page:
            self._dirty.add(before)
        self._pages[state.name] = page
        self._dirty.add(page)
        self._wake.set()

    async def serve(self) -> None:
        """Write pages until cancelled."""
        attempt = 0
        while True:
            await self._wake.wait()
            if attempt:
                await asyncio.sleep(backoff.delay(attempt, base=DELAY, cap=60.0))
            await self._settled()
            try:
                await self.flush()
                attempt, self.problem = 0, ""
            except ApiFailure as error:
                if not attempt or self.problem != str(error):
                    log.warning("what is wanted cannot be kept", cluster=self._world.cluster, reason=str(error))
                attempt, self.problem = attempt + 1, str(error)
                self._wake.set()

    async def _settled(self) -> None:
        """Until nothing has changed for DELAY, at most LONGEST."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                while self._wake.is_set():
                    self._wake.clear()
                    await asyncio.sleep(DELAY)
        self._wake.clear()

    async def flush(self) -> None:
        """Write what has changed until now. Raises ApiFailure; what was not written stays to be."""
        for page in list(self._dirty):
            self._dirty.discard(page)
            try:
                await self._write(page)
            except BaseException:
                self._dirty.add(page)
                raise

    async def _write(self, page: str) -> None:
        works = [_kept(state, self._world.hub_hash) for state in self._of(page)]
        before = self._secrets.get(page, ())
        names: tuple[str, ...] = ()
        if works:
            content = await asyncio.to_thread(keeping.pack, works)
            parts = keeping.parts(content, page, agent=self._world.agent, namespace=self._world.namespace)
            for part in parts:
                path = SECRETS.path(ObjectName(self._world.namespace, part.name))
                answer = await self._connection.request(
                    "PATCH",
                    path,
                    params={"fieldManager": MANAGER, "force": "true"},
                    body=orjson.dumps(part.body),
                    content_type=APPLY_PATCH,
                    accept=METADATA,
                    secret=True,
                    deadline=_DEADLINE,
                )
                self._writes.inc()
                if isinstance(answer, Failure):
                    raise ApiFailure(answer, f"keeping page {page}")
            names = tuple(part.name for part in parts)
        self._secrets[page] = names
        for name in before:
            if name not in names:
                path = SECRETS.path(ObjectName(self._world.namespace, name))
                answer = await self._connection.request("DELETE", path, accept=METADATA, secret=True)
                self._writes.inc()
                if isinstance(answer, Failure) and answer.kind is not FailureKind.NOT_FOUND:
                    self._secrets[page] = (*names, name)
                    raise ApiFailure(answer, f"deleting an old part of page {page}")

    def _of(self, page: str) -> Iterable[WorkState]:
        for name, where in list(self._pages.items()):
            if where == page:
                state = self._world.works.get(name)
                if state is None:
                    del self._pages[name]
                elif state.known:
                    yield state


def _kept(state: WorkState, hub: str) -> Kept:
    return Kept(
        name=state.name,
        uid=state.uid,
        generation=state.generation,
        created=state.created,
        spec=state.spec.decode("utf-8", "replace"),
        hub=hub,
        records=dict(state.records),
        leaving=state.leaving,
        completed=tuple(sorted(state.run.completed)),
        finished=state.run.finished,
    )
