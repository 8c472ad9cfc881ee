"""One function per verb of `fedctl playground`: plain arguments, plain results, and PlaygroundError.

The command line parses flags, calls these and prints what they return. `provider` is "local" (processes, the default)
or "kind"; kill, pause and resume are for real clusters of local processes only.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

from federation.playground import binaries, layout, provider_kind
from federation.playground.clusters import DEFAULT_NAMES, Playground, Row
from federation.playground.errors import PlaygroundError
from federation.playground.layout import Shape
from federation.playground.processes import State

Provider = Literal["local", "kind"]
Report = Callable[[str], None]
DEFAULT_PLAYGROUND = "default"
_KIND_MARK = "kind"  # a file in the directory of a playground of kind


def _provider(directory: Path) -> Provider:
    return "kind" if (directory / _KIND_MARK).exists() else "local"


def _missing(name: str) -> PlaygroundError:
    up = "fedctl playground up" if name == DEFAULT_PLAYGROUND else f"fedctl playground up --name {name}"
    return PlaygroundError(f"there is no playground {name!r}: `{up}` makes one")


def _local(name: str, report: Report) -> Playground:
    directory = layout.default_directory(name)
    if not directory.exists():
        raise _missing(name)
    if _provider(directory) == "kind":
        raise PlaygroundError(
            f"playground {name!r} runs on kind: use docker pause, unpause, stop and start on its nodes"
        )
    return Playground.open(directory, report=report)


def asked(
    clusters: Sequence[str], members: str, shape: Shape, there: Mapping[str, Shape]
) -> tuple[list[str], list[str]]:
    """The names of the real clusters and of the simulated members that a command line asks for.

    `clusters` are real. `members`, of the given shape, are names (a,b) or a number N: m1 to mN, of which those in
    `clusters` and those that exist already (`there`, with their shapes) keep their shape.
    """
    real = list(clusters or (("host",) if members else DEFAULT_NAMES))
    if re.fullmatch(r"[0-9]+", members):
        names = [f"m{number}" for number in range(1, int(members) + 1)]
        named = [each for each in names if each not in real and each not in there]
        if not names:
            raise PlaygroundError("--members 0: ask for at least one, or leave it out")
    else:
        named = list(dict.fromkeys(each.strip() for each in members.split(",") if each.strip()))
    return (real, named) if shape == "many" else (list(dict.fromkeys([*real, *named])), [])


def up(
    name: str = DEFAULT_PLAYGROUND,
    clusters: Sequence[str] = (),
    *,
    members: str = "",
    shape: Shape = "real",
    provider: Provider = "local",
    controller_manager: Collection[str] | None = None,
    report: Report = print,
) -> Path:
    """Bring a playground up; returns its kubeconfig. By default all real clusters get a controller manager.

    `clusters`, `members` and `shape` are explained at `asked`.
    """
    directory = layout.default_directory(name)
    there = _provider(directory) if directory.exists() else provider
    if there != provider:
        raise PlaygroundError(
            f"playground {name!r} is of provider {there!r}: take it down first, or choose another name"
        )
    record = layout.load(layout.Layout(directory))
    shapes = {each: cluster.shape for each, cluster in record.clusters.items()} if record else {}
    real, simulated = asked(clusters, members, shape, shapes)
    if provider == "kind":
        if simulated:
            raise PlaygroundError("kind makes real clusters only: leave --shape many or --provider kind out")
        _ = provider_kind.KindPlayground(directory, report=report).clusters  # fails before anything is marked as kind's
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        (directory / _KIND_MARK).touch()
        return provider_kind.KindPlayground.up(directory, real, report=report).kubeconfig
    managers = real if controller_manager is None else controller_manager
    return Playground.up(directory, real, controller_manager=managers, simulated=simulated, report=report).kubeconfig


def down(name: str = DEFAULT_PLAYGROUND, *, report: Report = print) -> bool:
    """Take a playground down, also a damaged one; False if there was nothing."""
    directory = layout.default_directory(name)
    if _provider(directory) == "kind":
        provider_kind.KindPlayground(directory, report=report).down()
        return True
    return Playground(directory, report=report).down()


def kubeconfig(name: str = DEFAULT_PLAYGROUND) -> Path:
    """The playground's kubeconfig file; a context per cluster, named as the cluster."""
    file = layout.Layout(layout.default_directory(name)).kubeconfig
    if not file.exists():
        raise _missing(name)
    return file


def kubectl(name: str = DEFAULT_PLAYGROUND, *, report: Report = print) -> tuple[Path, Path]:
    """A kubectl (from PATH, else fetched or compiled once) and the kubeconfig to give it."""
    config = kubeconfig(name)
    return binaries.ensure((binaries.KUBECTL,), report)[binaries.KUBECTL], config


def status(name: str = DEFAULT_PLAYGROUND) -> list[Row]:
    """A row per process; for kind a row per cluster, without readiness, which only Docker knows."""
    directory = layout.default_directory(name)
    if _provider(directory) == "kind":
        listed = provider_kind.KindPlayground(directory).clusters
        return [Row(each.name, each.kind_name, State.RUNNING, None, None, None, "") for each in listed]
    if not directory.exists():
        raise _missing(name)
    return Playground.open(directory).status()


def kill(cluster: str, name: str = DEFAULT_PLAYGROUND, *, report: Report = print) -> None:
    """Kill a cluster's API server and controller manager (SIGKILL); its data stays."""
    _local(name, report).kill(cluster)


def pause(cluster: str, name: str = DEFAULT_PLAYGROUND, *, report: Report = print) -> None:
    """Make a cluster hang: its port accepts connections, without any answer."""
    _local(name, report).pause(cluster)


def resume(cluster: str, name: str = DEFAULT_PLAYGROUND, *, report: Report = print) -> None:
    """Resume a paused cluster; a killed one is started again."""
    playground = _local(name, report)
    if cluster in playground.clusters and playground.clusters[cluster].apiserver_pid is None:
        playground.restart(cluster)
    else:
        playground.resume(cluster)
