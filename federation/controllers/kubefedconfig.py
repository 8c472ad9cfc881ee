"""KubeFedConfig `kubefed`: puts its settings into the world as they change. Nothing acts before it is known.

Known means: the hub was asked for it by name and returned it, or returned 404, which means the defaults. A list that
leaves it out is no proof (absences). An invalid one leaves the last valid one in force; where there was none yet, the
controller is cautious: nothing is adopted and nothing removed until it is mended. A KubeFedConfig of another name has
no effect, and settings that this controller does not support have none: an event and the log report both.
"""

import asyncio
from collections.abc import Callable

import structlog

from federation.controllers import absences
from federation.controllers.ports import EventPoster, HubPort
from federation.controllers.world import World
from federation.core import configuration
from federation.model import marks
from federation.model.errors import ApiFailure, Invalid
from federation.model.failures import Failure, FailureKind
from federation.model.federated import StoredObject
from federation.model.resources import CRDS, KUBEFED_CONFIGS, ObjectName
from federation.model.settings import Settings
from federation.runtime import backoff
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.store import Store

NAME = marks.CONFIG

log = structlog.get_logger()


class Configuration:
    """The KubeFedConfigs of the system namespace. Its queue has their names; `process` is its worker's turn.

    `changed` is called when other settings are in force; they are in the world by then.
    """

    def __init__(
        self, world: World, hub: HubPort, *, events: EventPoster, namespace: str, changed: Callable[[], None]
    ) -> None:
        self.queue: KeyQueue[str] = KeyQueue()
        self.objects: Store[StoredObject] = Store()
        self.known = False
        self._world = world
        self._hub = hub
        self._events = events
        self._namespace = namespace
        self._changed = changed
        self._reported: dict[str, tuple[str, str, str]] = {}
        self._scope_refused = ""

    def observed(self, name: str) -> None:
        """A KubeFedConfig appeared, changed or went."""
        self.queue.add(name)

    def scope_refused(self, why: str) -> None:
        """Why the hub does not let us see what is in no namespace, as scope Cluster needs; "" when it does."""
        if why != self._scope_refused:
            self._scope_refused = why
            self.queue.add(NAME)

    async def begin(self) -> None:
        """Wait until it is known which settings are in force."""
        attempt = 0
        while not self.known:
            try:
                await self.process(NAME)
            except ApiFailure as error:
                if await self._uninstalled(error.failure):
                    self._take(Settings())
                    return
                wait = backoff.delay(attempt, base=0.2, cap=15.0)
                log.warning("KubeFedConfig cannot be read", reason=str(error), again_in_s=round(wait, 1))
                attempt += 1
                await asyncio.sleep(wait)

    async def process(self, name: str) -> None:
        """Bring the world in line with one KubeFedConfig. Raises ApiFailure while the hub cannot be read."""
        where = ObjectName(self._namespace, name)
        if name != NAME:
            self._not_in_force(name, self.objects.get(where))
            return
        if self.objects.get(where) is None and await absences.gone(self._hub, self.objects, KUBEFED_CONFIGS, where):
            self._reported.pop(name, None)
            self._take(Settings())
            return
        stored = self.objects.get(where)
        if stored is not None:
            self._understand(stored)

    def _understand(self, stored: StoredObject) -> None:
        try:
            if stored.broken:
                raise Invalid("", f"cannot be read: {stored.broken}")
            settings = configuration.settings(stored.spec)
        except Invalid as error:
            if not self.known:
                self._take(configuration.cautious(stored.spec))
            consequence = (
                "nothing is adopted and nothing removed until it is mended"
                if self._world.settings.cautious
                else "the last good one stays in force"
            )
            self._report(stored, "InvalidSpec", f"{error}; {consequence}")
            return
        self._take(settings)
        ignored = configuration.ignored_fields(stored.spec, settings)
        if self._scope_refused and not settings.namespaced:
            given = "fedctl init --scope Cluster gives the controller the rights"
            ignored = (f"spec.scope: Cluster, but {self._scope_refused}: {given}", *ignored)
        if ignored:
            self._report(stored, "NotObeyed", "; ".join(ignored))
        else:
            self._reported.pop(NAME, None)

    def _not_in_force(self, name: str, stored: StoredObject | None) -> None:
        if stored is None:
            self._reported.pop(name, None)
            return
        self._report(stored, "NotInForce", f"only the KubeFedConfig named {NAME} is in force; this one is not read")

    def _report(self, stored: StoredObject, reason: str, message: str) -> None:
        """Report by a warning in the log and an event, once for the same message about the same object."""
        name = stored.metadata.name
        report = (stored.metadata.uid, reason, message)
        if self._reported.get(name) == report:
            return
        self._reported[name] = report
        log.warning("KubeFedConfig", name=name, what=reason, detail=message)
        self._events.about(KUBEFED_CONFIGS, stored.metadata, "Warning", reason, message)

    async def _uninstalled(self, failure: Failure) -> bool:
        """Whether the type itself does not exist. A server that has just started does not serve it for a moment."""
        if failure.kind is not FailureKind.TYPE_MISSING:
            return False
        found = await self._hub.read(CRDS, ObjectName("", KUBEFED_CONFIGS.qualified))
        return isinstance(found, Failure) and found.kind is FailureKind.NOT_FOUND

    def _take(self, settings: Settings) -> None:
        self.known = True
        if settings != self._world.settings:
            self._world.settings = settings
            self._changed()
