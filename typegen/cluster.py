"""A cluster as a source (`--context`): its CRDs, and of its built-in types those that are asked for.

Only GET requests, by kubernetes-asyncio, which knows every way of a kubeconfig to prove who one is. kubectl would do
too, but is not on every CI machine; nothing here is imported unless a cluster is named, so files need neither.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from typegen import definitions
from typegen.documents import Found
from typegen.model import Unusable

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_INDEX = "/openapi/v3"
_DEADLINE = 60.0
_PAGE = 100


def read(context: str, *, built_in: bool, report: Callable[[str], None]) -> list[Found]:
    """The CRDs of the cluster that `context` of the kubeconfig names; `built_in` adds discovery and OpenAPI documents.

    An API group whose own server does not answer is reported and passed over. Raises Unusable when the kubeconfig
    cannot be used or the cluster does not answer.
    """
    return asyncio.run(_read(context, built_in, report))


async def _read(context: str, built_in: bool, report: Callable[[str], None]) -> list[Found]:
    source = f"context {context}"
    async with _client(context) as ask:
        crds = [crd async for crd in _definitions(ask)]
        # The items of a list do not say what they are.
        found = [
            Found(source, {**crd, "apiVersion": definitions.API_VERSION, "kind": definitions.CRD_KIND}) for crd in crds
        ]
        if built_in:
            defined = {crd["spec"]["group"] for crd in crds}
            index = await ask(_INDEX)
            for name, entry in sorted(index.get("paths", {}).items()):
                match name.split("/"):
                    case ["api", _]:
                        pass
                    case ["apis", group, _] if group not in defined:
                        pass
                    case _:
                        continue
                try:
                    found += [Found(source, await ask(path)) for path in (f"/{name}", entry["serverRelativeURL"])]
                except Unusable as error:
                    report(f"{error}; what it serves is passed over")
        return found


async def _definitions(ask: Any) -> AsyncIterator[dict[str, Any]]:
    following = ""
    while True:
        page = await ask(f"{_CRDS}?limit={_PAGE}{f'&continue={following}' if following else ''}")
        for crd in page.get("items") or []:
            yield crd
        following = (page.get("metadata") or {}).get("continue") or ""
        if not following:
            return


@contextlib.asynccontextmanager
async def _client(context: str) -> AsyncIterator[Any]:
    import aiohttp  # noqa: PLC0415 (files as sources must not pay for it)
    from kubernetes_asyncio import client, config  # noqa: PLC0415

    # kubectl's rule, said here because the library reads the environment once, when it is imported.
    paths = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    configuration = client.Configuration()
    try:
        await config.load_kube_config(paths, context, configuration, persist_config=False)
    except (config.ConfigException, OSError, ValueError, TypeError, KeyError) as error:
        raise Unusable(f"context {context}: the kubeconfig cannot be used: {error}") from None

    async with client.ApiClient(configuration) as connection:

        async def ask(path: str) -> dict[str, Any]:
            headers = {"Accept": "application/json"}
            try:
                await connection.update_params_for_auth(headers, [], ["BearerToken"])
                url = configuration.host + path
                answer = await connection.rest_client.request("GET", url, headers=headers, _request_timeout=_DEADLINE)
            except client.ApiException as error:
                raise Unusable(f"context {context}: get {path}: {error.status} {error.reason}") from None
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise Unusable(f"context {context}: {configuration.host} does not answer: {error}") from None
            try:
                document = json.loads(answer.data)
            except ValueError:
                document = None
            if not isinstance(document, dict):
                raise Unusable(f"context {context}: get {path}: the answer is no JSON object")
            return document

        yield ask
