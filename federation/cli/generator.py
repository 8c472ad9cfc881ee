"""The command `typegen`, which reads clusters, too (`--context`).

typegen itself reads files and knows no client. Here it gets our own one, for which a kubeconfig may hold any kind of
credentials, and which writes no key to a disk.
"""

import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

from typegen import cli
from typegen.sources import Get

_DEADLINE = 60.0
_NEXT = {
    401: "log in again, then: kubectl --context {context} auth whoami",
    403: "ask an admin of that cluster for this right, or use another context",
    0: "check whether the API server answers: kubectl --context {context} get --raw /readyz",
}
"""What to do by the code of a refusal; 0: without an answer."""


def main() -> None:
    """Entry point; leaves by sys.exit."""
    from federation.cli import visible  # noqa: PLC0415

    sys.stderr = visible.Stream(sys.stderr)
    cli.main(obj=opened)


@contextlib.asynccontextmanager
async def opened(context: str) -> AsyncIterator[Get]:
    """GET requests to the cluster of a context; typegen.model.Unusable where that is impossible, in one line."""
    from federation.joining.contexts import Contexts  # noqa: PLC0415 (files as sources must not pay for it)
    from federation.model import errors  # noqa: PLC0415
    from federation.model.failures import Failure  # noqa: PLC0415
    from typegen.model import Unusable  # noqa: PLC0415

    async with Contexts() as contexts:
        try:
            connection = await contexts.open(context)
        except errors.Unusable as error:
            raise Unusable(f"context {context}: the kubeconfig cannot be used: {error}") from None

        async def get(path: str) -> dict[str, Any]:
            doing = f"context {context}: get {path}"
            answer = await connection.request("GET", path, deadline=_DEADLINE)
            if isinstance(answer, Failure):
                code = f"{answer.code} " if answer.code else ""
                raise Unusable(f"{doing}: {code}{answer.message}", _NEXT.get(answer.code, "").format(context=context))
            try:
                document = answer.json()
            except errors.ApiFailure as error:
                raise Unusable(f"{doing}: {error}") from None
            if not isinstance(document, dict):
                raise Unusable(f"{doing}: the answer is not a JSON object")
            return document

        yield get
