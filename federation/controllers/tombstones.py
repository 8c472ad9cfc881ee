"""The copies that we have deleted and whose end was seen, by their uids, so that one that comes back is recognised.

A uid is never given twice: an object that has one of these was there before, and its member's storage was put back to
a time when it was. Kept in memory, and only the latest: a controller that was started since then takes such a copy for
one that nobody stands behind (strays).
"""

MOST = 20_000
"""Of one type: some 200 bytes each."""


class Tombstones:
    """Those of one type, in all members."""

    def __init__(self) -> None:
        self._uids: dict[str, None] = {}

    def add(self, uid: str) -> None:
        """A copy is gone, because we have deleted it."""
        if not uid or uid in self._uids:
            return
        if len(self._uids) >= MOST:
            del self._uids[next(iter(self._uids))]
        self._uids[uid] = None

    def __contains__(self, uid: object) -> bool:
        return uid in self._uids

    def __len__(self) -> int:
        return len(self._uids)
