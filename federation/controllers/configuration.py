"""KubeFedConfig `kubefed`: its numbers into the world as they change; a wrong one leaves the last good one in force."""

from collections.abc import Callable, Iterable

import structlog

from federation.controllers.facts import World
from federation.core import parsing
from federation.model.errors import Invalid
from federation.model.federated import StoredObject
from federation.model.settings import Settings

NAME = "kubefed"

log = structlog.get_logger()


class ConfigurationSink:
    """The KubeFedConfigs of the system namespace; only the one named `kubefed` counts, as in KubeFed."""

    def __init__(self, world: World, changed: Callable[[], None]) -> None:
        self._world = world
        self._changed = changed

    def replace(self, items: Iterable[StoredObject]) -> None:
        """A whole list; without a `kubefed` in it the defaults hold."""
        found = next((item for item in items if item.metadata.name == NAME), None)
        if found is None:
            self._take(Settings())
        else:
            self.upsert(found)

    def upsert(self, item: StoredObject) -> None:
        """New numbers."""
        if item.metadata.name != NAME:
            return
        try:
            self._take(parsing.settings(item.spec))
        except Invalid as error:
            log.warning("KubeFedConfig is invalid; the last good one holds", name=NAME, reason=str(error))

    def remove(self, item: StoredObject) -> None:
        """Gone: the defaults hold."""
        if item.metadata.name == NAME:
            self._take(Settings())

    def _take(self, settings: Settings) -> None:
        if settings != self._world.settings:
            self._world.settings = settings
            self._changed()
