"""The flags that many verbs share, and how a verb runs: kubefedctl's names first, kubectl's as aliases."""

import functools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import click

from federation.cli import completing
from federation.cli.verbs import GoFlag

SYSTEM_NAMESPACE = "kube-federation-system"

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Host:
    """Where the host is: kubeconfig (None: kubectl's rule), context (None: the current one), system namespace."""

    kubeconfig: str | None
    context: str | None
    namespace: str


def host(function: Function) -> Function:
    """Add --kubeconfig, --host-cluster-context and --kubefed-namespace; the verb gets them as `host`."""

    @click.option("--kubeconfig", metavar="PATH", help="Kubeconfig to use; default: $KUBECONFIG, then ~/.kube/config.")
    @click.option(
        "--host-cluster-context",
        "--context",
        "context",
        metavar="NAME",
        shell_complete=completing.contexts,
        help="The host's context; default: the current one.",
    )
    @click.option(
        "--kubefed-namespace",
        default=SYSTEM_NAMESPACE,
        show_default=True,
        metavar="NAME",
        help="The host's system namespace.",
    )
    @functools.wraps(function)
    def wrapped(kubeconfig: str | None, context: str | None, kubefed_namespace: str, **rest: Any) -> Any:
        return function(host=Host(kubeconfig, context or None, kubefed_namespace), **rest)

    return wrapped


def dry_run(function: Function) -> Function:
    """Add --dry-run[=client|server]; the verb gets `dry_run`: "" to act, "client" or "server"."""

    def read(_: click.Context, __: click.Parameter, value: str) -> str:
        return {"true": "client", "false": "", "none": ""}.get(value, value)

    return click.option(
        "--dry-run",
        cls=GoFlag,
        bare="client",
        type=click.Choice(["none", "client", "server", "true", "false"]),
        default="none",
        callback=read,
        metavar="[=client|server]",
        help="Say what would be done. With =server the API server checks it too.",
    )(function)


def switch(name: str, *, default: bool = False, text: str) -> Callable[[Function], Function]:
    """A boolean flag in Go's manner."""
    return click.option(
        name, cls=GoFlag, type=click.BOOL, default=default, show_default=True, metavar="[=true|false]", help=text
    )


def output(*formats: str, default: str = "") -> Callable[[Function], Function]:
    """Add -o with these formats; the verb gets `output`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(formats),
        default=default or None,
        help="Print it in this format." if not default else None,
    )


def run(action: Coroutine[Any, Any, Any]) -> Any:
    """Run one verb's coroutine to its end."""
    import asyncio  # noqa: PLC0415 (help does without)

    return asyncio.run(action)


def report(line: str) -> None:
    """One line of progress, on stderr."""
    click.echo(line, err=True)
