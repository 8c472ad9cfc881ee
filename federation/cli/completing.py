"""Shell completion: contexts from the kubeconfig, names of clusters and types from the host.

The host gets one second. On any error there are no suggestions, and nothing is printed, because the user is in the
middle of typing a line.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from federation.joining.contexts import Contexts

BUDGET = 1.0
"""Seconds for all requests to the host."""


def contexts(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The kubeconfig's contexts."""
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.model.errors import FederationError  # noqa: PLC0415

    try:
        return _matching(Contexts(ctx.params.get("kubeconfig")).names, incomplete)
    except FederationError:
        return []


def clusters(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The members' names."""
    return _matching(_stored(ctx, "KUBEFED_CLUSTERS"), incomplete)


def types(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The enabled types' names."""
    return _matching(_stored(ctx, "TYPE_CONFIGS"), incomplete)


def objects(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of the federated objects of the KIND that is given, in the namespace that is meant."""
    return _matching(_asked(ctx, _objects), incomplete) if ctx.params.get("kind") else []


def waited(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What `wait` waits for: clusters, and the enabled types."""
    return _matching(["clusters", *_stored(ctx, "TYPE_CONFIGS")], incomplete)


def named(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of clusters, where KIND is that, or of federated objects."""
    kind = str(ctx.params.get("kind") or "")
    return clusters(ctx, param, incomplete) if kind.startswith("cluster") else objects(ctx, param, incomplete)


def namespaces(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The host's namespaces."""
    return _matching(_asked(ctx, _namespaces), incomplete)


def _matching(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(word) for word in sorted(words) if word.startswith(incomplete)]


def _stored(ctx: click.Context, resource: str) -> list[str]:
    async def ask(found: "Contexts", params: dict[str, Any]) -> list[str]:
        return await _names(found, params, resource)

    return _asked(ctx, ask)


def _asked(ctx: click.Context, ask: "Callable[[Contexts, dict[str, Any]], Awaitable[list[str]]]") -> list[str]:
    import asyncio  # noqa: PLC0415

    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.model.errors import FederationError  # noqa: PLC0415

    async def within() -> list[str]:
        async with asyncio.timeout(BUDGET), Contexts(ctx.params.get("kubeconfig")) as found:
            return await ask(found, ctx.params)

    try:
        return asyncio.run(within())
    except (FederationError, TimeoutError):
        return []


async def _names(found: "Contexts", params: dict[str, Any], resource: str) -> list[str]:
    from federation.cli.options import SYSTEM_NAMESPACE  # noqa: PLC0415
    from federation.joining import applying  # noqa: PLC0415
    from federation.model import resources  # noqa: PLC0415

    host = await found.open(params.get("context"))
    namespace = params.get("kubefed_namespace") or SYSTEM_NAMESPACE
    listed = await applying.listing(host, getattr(resources, resource), namespace)
    return [each["metadata"]["name"] for each in listed]


async def _namespaces(found: "Contexts", params: dict[str, Any]) -> list[str]:
    from federation.joining import applying  # noqa: PLC0415
    from federation.model.resources import NAMESPACES  # noqa: PLC0415

    host = await found.open(params.get("context"))
    return [each["metadata"]["name"] for each in await applying.metadata(host, NAMESPACES)]


async def _objects(found: "Contexts", params: dict[str, Any]) -> list[str]:
    from federation.cli.options import SYSTEM_NAMESPACE  # noqa: PLC0415
    from federation.joining import applying, fleet, kinds  # noqa: PLC0415
    from federation.kube.connection import METADATA_LIST  # noqa: PLC0415

    host = await found.open(params.get("context"))
    known = await fleet.read(host, params.get("kubefed_namespace") or SYSTEM_NAMESPACE)
    chosen = kinds.resolve(known.types, await kinds.served(host), params["kind"])
    namespace = params.get("namespace") or found.namespace(params.get("context"))
    where = namespace if chosen.federated.namespaced else ""
    listed = await applying.listing(host, chosen.federated, where, accept=METADATA_LIST)
    return [each["metadata"]["name"] for each in listed]
