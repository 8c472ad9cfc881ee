"""A hub or a member that was restored from a backup: what was observed before is of another time, and is listed again.

Versions of before say nothing then of which of two states is the newer one. An outage may have hidden a restore, and
the versions may have overtaken the old ones since, so that after one everything is listed again in any case.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from federation.runtime.spacing import Spacing


def relists() -> Spacing:
    """When one collection is listed again after an outage."""
    return Spacing(0.5, 0.05)


def noticing(forget: Callable[[], None]) -> Callable[[Any], None]:
    """What a reflector calls when it changes: where its server has gone back in time, `forget` is called, and it lists
    again."""
    seen = 0

    def changed(reflector: Any) -> None:
        nonlocal seen
        if reflector.restored > seen:
            seen = reflector.restored
            forget()
            # It may be in the midst of a list, which was taken in beside what is forgotten only now.
            asyncio.get_running_loop().call_soon(reflector.renew)

    return changed
