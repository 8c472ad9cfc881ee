"""Shell completion: contexts from the kubeconfig, names of clusters and types from the host.

The host gets one second. On any error there are no suggestions, and nothing is printed, because the user is in the
middle of typing a line.
"""

from collections.abc import Iterable
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


def _matching(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(word) for word in sorted(words) if word.startswith(incomplete)]


def _stored(ctx: click.Context, resource: str) -> list[str]:
    import asyncio  # noqa: PLC0415

    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.model.errors import FederationError  # noqa: PLC0415

    async def ask() -> list[str]:
        async with asyncio.timeout(BUDGET), Contexts(ctx.params.get("kubeconfig")) as found:
            return await _names(found, ctx.params, resource)

    try:
        return asyncio.run(ask())
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
