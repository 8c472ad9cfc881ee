"""Write a federated object's status to the hub; the last step of a reconcile.

One write, and where the hub refuses a cluster's remoteStatus (core.status.spared) another without it: whatever a member
calls its status must not keep the object from having one. Each turn has fewer of them, so the turns end.
"""

from collections.abc import Awaitable, Callable, Sequence

from federation.core import status
from federation.model.failures import Failure
from federation.model.federated import Metadata
from federation.model.status import ClusterStatus, Status


async def tell(
    write: Callable[[bytes], Awaitable[Metadata | Failure]],
    previous: Status,
    lines: Sequence[ClusterStatus],
    fold: Callable[[Sequence[ClusterStatus]], Status],
) -> Status | Failure:
    """The status that the hub holds afterwards, `previous` itself when there was nothing to write.

    `write` sends a merge patch of the status; `fold` makes the status of the clusters' lines.
    """
    while True:
        told = fold(lines)
        body = status.patch(previous, told)
        if body is None:
            return previous
        answer = await write(body)
        if not isinstance(answer, Failure):
            return told
        spared = status.spared(lines, told, answer)
        if spared is None:
            return answer
        lines = spared
