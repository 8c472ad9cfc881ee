"""The flags of verbs that look into the members, and how they reach them; used by explain, diff, events and logs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from federation.cli import completing, options
from federation.cli.options import Function, Host

if TYPE_CHECKING:
    from federation.joining.reaching import Reach
    from federation.seeing.asking import How


TIMEOUT = 10.0
"""Seconds for a member's first answer, by default."""


@dataclass(frozen=True, slots=True)
class Where:
    """Which members are asked, and how. `clusters` are those that the user names; none: all that are concerned."""

    host: Host
    namespace: str
    clusters: tuple[str, ...]
    stored: bool
    timeout: float

    @property
    def how(self) -> "How":
        """For `seeing`."""
        from federation.seeing.asking import How  # noqa: PLC0415

        return How(self.stored, self.timeout)

    @asynccontextmanager
    async def reach(self) -> "AsyncIterator[tuple[Reach, str]]":
        """The ways to host and members, and the namespace that is meant."""
        from federation.joining.contexts import Contexts  # noqa: PLC0415
        from federation.joining.reaching import Reach  # noqa: PLC0415

        async with Contexts(self.host.kubeconfig) as contexts:
            connection = await contexts.open(self.host.context)
            namespace = self.namespace or contexts.namespace(self.host.context)
            yield Reach(contexts, connection, self.host.namespace), namespace


def members(function: Function) -> Function:
    """Add --cluster, and the flags of `asked`."""
    return click.option(
        "-C",
        "--cluster",
        "--clusters",
        "clusters",
        multiple=True,
        metavar="NAME",
        shell_complete=completing.clusters,
        help="Only these members; may be repeated, or be a list with commas.",
    )(options.timeout(default="10s", text="How long a member may take for its first answer")(asked(function)))


def asked(function: Function) -> Function:
    """Add -n, --stored-credentials and the host's flags; the verb gets them as `where`."""

    def wrapped(
        *,
        namespace: str,
        stored_credentials: bool,
        host: Host,
        clusters: tuple[str, ...] = (),
        timeout: float = TIMEOUT,
        **rest: Any,
    ) -> Any:
        names = tuple(name.strip() for each in clusters for name in each.split(",") if name.strip())
        return function(where=Where(host, namespace, names, stored_credentials, timeout), **rest)

    wrapped.__doc__ = function.__doc__
    wrapped.__dict__.update(function.__dict__)  # click keeps the parameters that were added before here
    for add in (
        options.host,
        options.switch(
            "--stored-credentials", text="Ask members as the controller, with what the hub has stored, not as you."
        ),
        click.option(
            "-n",
            "--namespace",
            default="",
            metavar="NAME",
            shell_complete=completing.namespaces,
            help="Default: the context's namespace, else default.",
        ),
    ):
        wrapped = add(wrapped)
    return wrapped


def named(kind: str, name: str) -> tuple[str, str]:
    """KIND NAME, or kubectl's KIND/NAME; nothing of both. Raises UsageError for one without the other."""
    if kind and not name and "/" in kind:
        kind, _, name = kind.partition("/")
    if bool(kind) != bool(name):
        raise click.UsageError(f"name the object, too: {kind} NAME")
    return kind, name
