"""`fedctl compare`: push and pull measured on this machine, claim by claim; the report is made from the raw data."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from federation.cli import options
from federation.cli.verbs import LazyGroup

if TYPE_CHECKING:
    from federation.comparing.model import Run, Settings

EXAMPLES = """
  fedctl compare -o comparison --quick                 # push and pull, every scenario but bend, small
  fedctl compare -o comparison --full                  # every scenario, larger, in more rounds, and pull-bundled
  fedctl compare -o hub --scenario hub-load --members 4 --objects 200 --rounds 5
"""
ROUNDS = {"quick": 2, "full": 3}
SEED = 1


def _scenarios(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from federation.comparing.claims import SCENARIOS  # noqa: PLC0415

    return [
        CompletionItem(each.scenario, help=each.title) for each in SCENARIOS if each.scenario.startswith(incomplete)
    ]


class _Compare(LazyGroup):
    """The verb by itself runs; its own verbs come first, or they are values of its flags."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments."""
        if args and args[0] in self.verbs:
            return super().parse_args(ctx, args)
        return click.Group.parse_args(self, ctx, self.rewritten(ctx, args))


@click.command(
    cls=_Compare,
    name="compare",
    package="federation.cli",
    prefix="compare_",
    verbs={
        "measure": "Measure a controller with KubeFed's API that runs already.",
        "report": "Make one report of the raw data of one or several runs.",
    },
    invoke_without_command=True,
    no_args_is_help=True,
    examples=EXAMPLES,
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where everything goes. A run that was stopped goes on there.",
)
@options.switch("--quick", text="Small, for some minutes. The default.")
@options.switch("--full", text="Large, and more rounds: for an hour or two.")
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    metavar="NAME",
    shell_complete=_scenarios,
    help="Only this one (a,b, or repeated); default: all that there are.",
)
@click.option(
    "--modes", default="", metavar="a,b", help="Ways to compare; default: push,pull, and with --full pull-bundled."
)
@click.option("--members", type=click.IntRange(1), metavar="N", help="Members, where the scenario has one number.")
@click.option("--objects", type=click.IntRange(1), metavar="N", help="Objects, or applications.")
@click.option("--rounds", type=click.IntRange(1), metavar="N", help="Of each measurement; modes take turns.")
@click.option("--seed", type=int, default=SEED, show_default=True, metavar="N", help="The same gives the same objects.")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    output: Path | None,
    quick: bool,
    full: bool,
    scenarios: tuple[str, ...],
    modes: str,
    members: int | None,
    objects: int | None,
    rounds: int | None,
    seed: int,
) -> int:
    """Compare push and pull on this machine.

    Brings up local control planes of its own, and measures nine claims about push and pull at the processes: CPU,
    memory, requests, bytes, latency. DIR/run.json has every sample and the settings to run it again. Nothing else
    should run on the machine meanwhile.
    """
    if ctx.invoked_subcommand is not None:
        return 0
    if output is None:
        raise click.UsageError("-o DIR is needed: what is measured goes there")
    if quick and full:
        raise click.UsageError("--quick and --full exclude each other")
    from federation.comparing.model import Settings  # noqa: PLC0415
    from federation.comparing.scenarios import SCENARIOS  # noqa: PLC0415
    from federation.comparing.stage import SETTINGS  # noqa: PLC0415

    scale = "full" if full else "quick"
    named = {each for text in scenarios for each in _words(text)}
    settings = Settings(
        scale=scale,
        scenarios=tuple(name for name in SCENARIOS if name in named or not named) + tuple(named - SCENARIOS.keys()),
        subjects=tuple(dict.fromkeys(_words(modes))) or (tuple(SETTINGS) if full else ("push", "pull")),
        rounds=rounds or ROUNDS[scale],
        seed=seed,
        members=members,
        objects=objects,
    )
    run = options.run(_run(output, settings))
    return 0 if all(each.state != "failed" for each in run.steps) else 1


async def _run(output: Path, settings: "Settings") -> "Run":
    from federation.comparing import running  # noqa: PLC0415

    return await running.stoppable(lambda progress: running.run(output, settings, progress), output)


def _words(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]
