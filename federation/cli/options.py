"""The flags that many verbs share, and how a verb runs: kubefedctl's names first, kubectl's as aliases."""

import functools
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import click

from federation.cli import completing
from federation.cli.goflags import GoFlag
from federation.cli.verbs import as_kubefedctl
from federation.model.errors import Invalid

SYSTEM_NAMESPACE = "kube-federation-system"
SHARDS = click.IntRange(1, 16)
"""core.shards.MOST: help does without that module."""

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
        return function(host=Host(kubeconfig or None, context or None, kubefed_namespace or SYSTEM_NAMESPACE), **rest)

    return wrapped


class _DryRun(click.Choice[str]):
    """kubefedctl's boolean, in all spellings that Go accepts, and kubectl's none, client and server."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        word = value.lower()
        if word in ("1", "t", "true"):
            return "client"
        if word in ("", "0", "f", "false", "none"):
            return ""
        return super().convert(word, param, ctx)


class _Format(click.Choice[str]):
    """An output format; "" is the default, as for a script's `-o "$FORMAT"`."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            return param.get_default(ctx) if param is not None and ctx is not None else None
        return super().convert(value, param, ctx)


def duration(text: str) -> float:
    """Seconds from a Go duration (`5s`, `1m30s`), as kubectl's flags take it, or from a number of seconds."""
    from federation.core import configuration  # noqa: PLC0415 (help does without)

    try:
        return configuration.parse_duration(text, "", plain=True)
    except Invalid as error:
        raise click.BadParameter(error.message) from error


def timeout(*, default: str, text: str) -> Callable[[Function], Function]:
    """Add --timeout; the verb gets it in seconds."""
    text = f"{text}; 90 (seconds), 90s or 1m30s."
    return click.option("--timeout", type=duration, default=default, show_default=True, metavar="DURATION", help=text)


def dry_run(function: Function) -> Function:
    """Add --dry-run[=client|server]; the verb gets `dry_run`: "" to act, "client" or "server"."""

    return click.option(
        "--dry-run",
        cls=GoFlag,
        bare="client",
        type=_DryRun(["none", "client", "server", "true", "false"]),
        default="none",
        metavar="[=client|server]",
        help="Only print what would be done. With =server the API server checks it, too.",
    )(function)


def log(function: Function) -> Function:
    """Where the log of a process that runs on goes, and what is in it."""
    levels = click.Choice(["debug", "info", "warning", "error"])
    for add in (
        click.option("--log-level", type=levels, default="info", show_default=True),
        click.option("--log-format", type=click.Choice(["json", "console"]), default="json", show_default=True),
        click.option("--log-file", default="", metavar="PATH", help="Append the log to this file; default: stderr."),
    ):
        function = add(function)
    return function


def endpoints(health: str) -> Callable[[Function], Function]:
    """Where a process that runs on serves its metrics and its health; `health` names what is asked for there."""

    def both(function: Function) -> Function:
        for name, port, what in (("health-probe", 8081, health), ("metrics", 8080, "/metrics")):
            function = click.option(
                f"--{name}-bind-address",
                default=f"127.0.0.1:{port}",
                show_default=True,
                metavar="HOST:PORT",
                help=f"{what}; 0: nowhere.",
            )(function)
        return function

    return both


def switch(*names: str, default: bool = False, text: str) -> Callable[[Function], Function]:
    """A boolean flag in Go's manner."""
    return click.option(
        *names, cls=GoFlag, type=click.BOOL, default=default, show_default=True, metavar="[=true|false]", help=text
    )


def member(function: Function) -> Function:
    """Add --cluster-context and --host-cluster-name; the verb gets `cluster_context` and `host_cluster_name`."""
    function = click.option(
        "--host-cluster-name",
        metavar="NAME",
        help="The host's name in object names in the member; default: its context.",
    )(function)
    return click.option(
        "--cluster-context",
        shell_complete=completing.contexts,
        metavar="NAME",
        help="The member's context; default: the member's name.",
    )(function)


def output(*formats: str, default: str = "") -> Callable[[Function], Function]:
    """Add -o with these formats; the verb gets `output`."""
    return click.option(
        "-o",
        "--output",
        type=_Format(formats),
        default=default or None,
        help="Print it in this format." if not default else None,
    )


def run(action: Coroutine[Any, Any, Any]) -> Any:
    """Run one verb's coroutine to its end."""
    import asyncio  # noqa: PLC0415 (help does without)

    return asyncio.run(action)


def ignored(given: Mapping[str, object], why: str) -> None:
    """Report which of these flags have no effect here; kubefedctl accepts them, so they are no error."""
    if names := [name for name, value in given.items() if value]:
        report(f"note: {', '.join(names)}: no effect {why}")


def namespaces(words: tuple[str, ...]) -> tuple[str, ...] | None:
    """The names in `a,b` or in repeated flags; () for `none`, None when the flag is not given."""
    named = tuple(dict.fromkeys(name.strip() for text in words for name in text.split(",") if name.strip()))
    return None if not words else () if named == ("none",) else named


def progress(line: str) -> None:
    """What was done, where kubefedctl prints it as its output: on stderr, on stdout where that is the name."""
    click.echo(line, err=not as_kubefedctl() or line.startswith(("warning: ", "note: ")))


def report(line: str) -> None:
    """One line of progress, on stderr."""
    click.echo(line, err=True)
