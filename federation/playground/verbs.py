"""One function per verb of `fedctl playground`: plain arguments in, values out, PlaygroundError for the user.

The command line parses flags, calls these and prints what they return. `provider` is "local" (processes, the default)
or "kind"; kill, restart, pause and resume are of local processes only.
"""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Literal

from federation.playground import layout, provider_kind
from federation.playground.clusters import DEFAULT_NAMES, Playground, Row
from federation.playground.errors import PlaygroundError
from federation.playground.processes import State

Provider = Literal["local", "kind"]
Report = Callable[[str], None]
DEFAULT_PLAYGROUND = "default"
_KIND_MARK = "kind"  # a file in the directory of a playground of kind


def _provider(directory: Path) -> Provider:
    return "kind" if (directory / _KIND_MARK).exists() else "local"


def _local(name: str, report: Report) -> Playground:
    directory = layout.default_directory(name)
    if _provider(directory) == "kind":
        raise PlaygroundError(
            f"playground {name!r} runs on kind: use docker pause, unpause, stop and start on its nodes"
        )
    return Playground.open(directory, report=report)


def up(
    name: str = DEFAULT_PLAYGROUND,
    names: Sequence[str] = DEFAULT_NAMES,
    *,
    provider: Provider = "local",
    controller_manager: Collection[str] | None = None,
    report: Report = print,
) -> Path:
    """Bring a playground up, or finish one; returns its kubeconfig. All get a controller manager by default."""
    directory = layout.default_directory(name)
    there = _provider(directory) if directory.exists() else provider
    if there != provider:
        raise PlaygroundError(
            f"playground {name!r} is of provider {there!r}: take it down first, or choose another name"
        )
    if provider == "kind":
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        (directory / _KIND_MARK).touch()
        return provider_kind.KindPlayground.up(directory, names, report=report).kubeconfig
    managers = names if controller_manager is None else controller_manager
    return Playground.up(directory, names, controller_manager=managers, report=report).kubeconfig


def down(name: str = DEFAULT_PLAYGROUND, *, report: Report = print) -> bool:
    """Take a playground down, whatever is left of it; False if there was nothing."""
    directory = layout.default_directory(name)
    if _provider(directory) == "kind":
        provider_kind.KindPlayground(directory, report=report).down()
        return True
    return Playground(directory, report=report).down()


def kubeconfig(name: str = DEFAULT_PLAYGROUND) -> Path:
    """The playground's kubeconfig file; a context per cluster, named as the cluster."""
    file = layout.Layout(layout.default_directory(name)).kubeconfig
    if not file.exists():
        raise PlaygroundError(f"there is no playground {name!r}: `fedctl playground up` makes one")
    return file


def status(name: str = DEFAULT_PLAYGROUND) -> list[Row]:
    """A row per process; for kind a row per cluster, whose state only Docker knows (so ready is unknown)."""
    directory = layout.default_directory(name)
    if _provider(directory) == "kind":
        listed = provider_kind.KindPlayground(directory).clusters
        return [Row(each.name, each.kind_name, State.RUNNING, None, None, None, "") for each in listed]
    return Playground.open(directory).status()


def kill(cluster: str, name: str = DEFAULT_PLAYGROUND, *, report: Report = print) -> None:
    """SIGKILL a cluster's API server and controller manager; its data stay."""
    _local(name, report).kill(cluster)


def restart(cluster: str, name: str = DEFAULT_PLAYGROUND, *, report: Report = print) -> None:
    """Start a cluster again on its old port, with its old data."""
    _local(name, report).restart(cluster)


def pause(cluster: str, name: str = DEFAULT_PLAYGROUND, *, report: Report = print) -> None:
    """Make a cluster hang: its port accepts, and nobody answers."""
    _local(name, report).pause(cluster)


def resume(cluster: str, name: str = DEFAULT_PLAYGROUND, *, report: Report = print) -> None:
    """Let a paused cluster go on; a killed one is started again."""
    playground = _local(name, report)
    if cluster in playground.clusters and playground.clusters[cluster].apiserver_pid is None:
        playground.restart(cluster)
    else:
        playground.resume(cluster)
