"""A way to an API server by which nothing can be written: every request that would is sent as a dry run."""

from collections.abc import Mapping

import orjson

from federation.kube.connection import DEADLINE, JSON, Answer, Connection
from federation.kube.members import MemberWriter
from federation.model.failures import Failure

_READS = frozenset({"GET", "HEAD"})
_DRY_RUN = "dryRun"


class DryRuns:
    """Sends requests over a connection; those that are no reads with `dryRun=All`, whatever they were asked as.

    An API server checks and answers such a request as any other (defaulting, admission, validation), and stores
    nothing.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        params: Mapping[str, str] | None = None,
        deadline: float = DEADLINE,
        secret: bool = False,
        largest: int = 0,
    ) -> Answer | Failure:
        """As Connection.request."""
        if method == "DELETE":
            body = _dry_delete(body)
        elif method not in _READS and f"{_DRY_RUN}=All" not in path.partition("?")[2].split("&"):
            path, params = _dry(path, params)
        return await self._connection.request(
            method,
            path,
            body=body,
            content_type=content_type,
            accept=accept,
            params=params,
            deadline=deadline,
            secret=secret,
            largest=largest,
        )


def writer(connection: Connection, manager: str) -> MemberWriter:
    """A writer to a member, as one field manager, all of whose writes are dry runs."""
    return MemberWriter(DryRuns(connection), manager)


def _dry_delete(body: bytes | None) -> bytes:
    """DeleteOptions of a dry run. An API server that gets a body does not look at the query."""
    options = orjson.loads(body) if body else {"apiVersion": "v1", "kind": "DeleteOptions"}
    return orjson.dumps({**options, _DRY_RUN: ["All"]})


def _dry(path: str, params: Mapping[str, str] | None) -> tuple[str, Mapping[str, str] | None]:
    """The same request as a dry run. A path that has its query already gets no second one."""
    if "?" in path:
        return f"{path}&{_DRY_RUN}=All", params
    return path, {**(params or {}), _DRY_RUN: "All"}
