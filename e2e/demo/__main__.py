"""Run the demo, or take down one that was kept. Exit code 0, 1 for a step that failed, 130 for Ctrl-C.

usage: python -m e2e.demo [stop]
"""

import asyncio
import io
import os
import sys
import time
from collections.abc import Sequence

from e2e import running
from e2e.demo import scenario, table, world
from e2e.demo.checkout import APP
from e2e.demo.clusters import CONTROLLER, EDGE, HOST, MEMBERS, NAME, Clusters, DemoError
from e2e.demo.edge import AGENT
from e2e.demo.scenario import Step
from e2e.demo.stage import Stage
from federation.model.errors import FederationError
from federation.playground.errors import PlaygroundError

Times = list[tuple[str, float]]


def main(arguments: Sequence[str]) -> int:
    """Run the demo; afterwards nothing keeps running, unless KEEP=1 and all went well."""
    if list(arguments) != ["stop"] and (code := running.explained(__doc__, arguments)) is not None:
        return code
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a member's message may have characters that a terminal cannot show
    screen = table.screen()
    clusters = Clusters(screen.report)
    if list(arguments) == ["stop"]:
        clusters.down()
        return 0
    running.interrupt_on_signals()
    times: Times = []
    with clusters.alone():
        try:
            code = _show(clusters, screen, times)
        finally:
            screen.close()
        for title, seconds in times:
            print(f"{seconds:6.1f} s  {title}")  # noqa: T201
        print(f"{sum(seconds for _, seconds in times):6.1f} s  in all")  # noqa: T201
        if code == 0 and not _keep():
            print(NEXT)  # noqa: T201
    return code


def _show(clusters: Clusters, screen: table.Screen, times: Times) -> int:
    keep = False
    try:
        began = time.monotonic()
        screen.begin(1, f"control planes: {HOST} and {', '.join(MEMBERS)}")
        clusters.up()
        times.append(("control planes", time.monotonic() - began))
        screen.done(times[-1][1], None)
        asyncio.run(_play(clusters, screen, times))
        keep = _keep()
        if keep:
            _how_to_use(clusters)
        else:
            clusters.remove_logs()
        return 0
    except KeyboardInterrupt:
        screen.report("interrupted: taking everything down")
        return 130
    except (DemoError, FederationError, PlaygroundError) as error:
        screen.close()
        print(f"\nthe demo ended here.\n{error}\n\n{clusters.logs()}")  # noqa: T201
        return 1
    finally:
        if not keep:
            began = time.monotonic()
            clusters.down()
            times.append(("take everything down", time.monotonic() - began))


async def _play(clusters: Clusters, screen: table.Screen, times: Times) -> None:
    async with Stage(clusters, screen.report) as stage:
        screen.watch(stage.observer)
        for number, step in enumerate((*scenario.SETUP, *scenario.STEPS), 2):
            began = time.monotonic()
            screen.begin(number, step.title)
            await step.act(stage)
            await observe(stage, step)
            if step.after is not None:
                await step.after(stage)
            times.append((step.title, time.monotonic() - began))
            screen.done(times[-1][1], stage.observer)
            await asyncio.sleep(screen.pace)
        if _keep():
            await stage.apply(APP)  # so that there are objects to look at


async def observe(stage: Stage, step: Step) -> None:
    """Wait until every member has exactly what it should. Raises DemoError with every difference."""

    def missing() -> list[world.Difference]:
        silent = sorted(stage.observer.silent.difference(step.down))
        found = world.differences(step.world, stage.observer.objects, step.down)
        return found + [world.Difference(("API server", name), "an answer", "none") for name in silent]

    if not await stage.observer.until(lambda: not missing(), step.within):
        raise DemoError(f"{step.title}, within {step.within:g} s", "\n  ".join(["", *map(str, missing())]))


def _keep() -> bool:
    return os.environ.get("KEEP", "") not in {"", "0"}


NEXT = """
next:
  make demo KEEP=1           the same, and the clusters stay for you to play with
  docs/tutorial.md           do it yourself, step by step: . .venv/bin/activate, then fedctl playground up
  docs/compatibility.md      if you ran KubeFed
"""


def _how_to_use(clusters: Clusters) -> None:
    print(  # noqa: T201
        f"\nkept: {HOST}, {', '.join(MEMBERS)}, the controller (its log: {clusters.log(CONTROLLER)}), "
        f"{EDGE}'s agent (its log: {clusters.log(AGENT)}) and its link\n"
        f"  use:   . .venv/bin/activate; export KUBECONFIG=$(fedctl playground kubeconfig --name {NAME})\n"
        "         fedctl get clusters; fedctl get federated -A; fedctl status deployment web -n shop\n"
        f"         fedctl playground kubectl --name {NAME} --context paris -n shop "
        "get deployments,services,configmaps,secrets,websites\n"
        "  stop:  make demo-stop\n"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
