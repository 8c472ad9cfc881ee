"""Try again what has failed in a cluster until now, because it answers again, or is another than before."""

import time
from collections.abc import Iterator

from federation.controllers import fanout, pacing
from federation.controllers.fanout import Wake
from federation.controllers.tracks import Track, including, without
from federation.controllers.world import World
from federation.model.resources import Key
from federation.runtime.keyqueue import KeyQueue


class Retries:
    """Of all types and clusters. `changed` is Sync.changed."""

    def __init__(self, world: World, queue: KeyQueue[Key], changed: Wake) -> None:
        self._world = world
        self._queue = queue
        self._changed = changed

    def cluster(self, cluster: str, type_name: str = "", *, upgraded: bool = False) -> None:
        """A cluster answers again (or one type can be watched there again): try now what failed until now.

        What it would refuse again, because the manifest is wrong, still waits for another manifest, unless the cluster
        was `upgraded`: another definition of the type may let it pass, or keep the fields that it dropped. Of many
        objects, the later ones are tried after other tasks have had a turn.
        """
        fanout.wake_gradually(self._retried(cluster, type_name, upgraded=upgraded), self._queue.add)

    def _retried(self, cluster: str, type_name: str, *, upgraded: bool) -> Iterator[Key | None]:
        now = time.monotonic()
        member = self._world.members.get(cluster)
        states = [state for name, state in self._world.types.items() if type_name in ("", name)]
        copies = [state.copies[cluster] for state in states if upgraded and cluster in state.copies]
        for each in copies:
            each.redefined += 1
        try:
            for state in states:
                for name in list(state.tracks):
                    if self._world.members.get(cluster) is not member:
                        return  # another may join by its name
                    track = state.tracks.get(name)
                    key = Key(state.type.name, *name)
                    if track is not None and upgraded:
                        self._redefined(key, track, cluster)
                    yield key if track is not None and pacing.retried(track, cluster, now, anew=upgraded) else None
        finally:
            for each in copies:
                each.redefined -= 1

    def _redefined(self, key: Key, track: Track, cluster: str) -> None:
        """The type has another definition in a cluster: it may have defaults, and keep the fields that it dropped."""
        track.fully_owned = without(track.fully_owned, cluster)
        if cluster in track.dropped:
            track.recheck = including(track.recheck, cluster)
            self._changed(key)
