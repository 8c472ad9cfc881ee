"""A cluster as a source (`--context`): its CRDs, and on request its built-in types.

Only GET requests are sent, by the caller's client. This module is imported only when a cluster is named.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from typegen import definitions
from typegen.documents import Found
from typegen.model import Unusable
from typegen.sources import Get, Opened

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_CONFIGS = "/apis/core.kubefed.io/v1beta1/federatedtypeconfigs"
_CONFIGS_CRD = "federatedtypeconfigs.core.kubefed.io"
_INDEX = "/openapi/v3"
_PAGE = 100


def read(context: str, opened: Opened, *, built_in: bool, report: Callable[[str], None]) -> list[Found]:
    """The CRDs of the cluster that `context` of the kubeconfig names, and its FederatedTypeConfigs if it is a hub.

    `built_in` adds discovery and OpenAPI documents. An API group whose own server does not answer is reported and left
    out. Raises Unusable when the kubeconfig cannot be used or the cluster does not answer.
    """
    return asyncio.run(_read(context, opened, built_in, report))


async def _read(context: str, opened: Opened, built_in: bool, report: Callable[[str], None]) -> list[Found]:
    source = f"context {context}"
    async with opened(context) as ask:
        crds = [crd async for crd in _definitions(ask)]
        # The items of a list have no apiVersion and kind.
        found = [
            Found(source, {**crd, "apiVersion": definitions.API_VERSION, "kind": definitions.CRD_KIND}) for crd in crds
        ]
        if any(crd["metadata"]["name"] == _CONFIGS_CRD for crd in crds):
            try:
                configs = (await ask(_CONFIGS)).get("items") or []
                found += [Found(source, {**each, "kind": "FederatedTypeConfig"}) for each in configs]
            except Unusable as error:
                report(f"{error}; the targets of federated types there are known by their annotations only")
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
                    report(f"{error}; its types are left out")
        return found


async def _definitions(ask: Get) -> AsyncIterator[dict[str, Any]]:
    following = ""
    while True:
        page = await ask(f"{_CRDS}?limit={_PAGE}{f'&continue={following}' if following else ''}")
        for crd in page.get("items") or []:
            yield crd
        following = (page.get("metadata") or {}).get("continue") or ""
        if not following:
            return
