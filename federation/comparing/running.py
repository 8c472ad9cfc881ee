"""A run: the steps that follow from its settings, one after another, each written down as it ends.

A step that fails is recorded with its reason, the fleet is made anew, and the run goes on. A run that is stopped keeps
what has ended; started again with the same directory it goes on with what is missing.
"""

import asyncio
import datetime as dt
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec

from federation.comparing import machine, publishing
from federation.comparing.journal import Bare, Began, Journal
from federation.comparing.model import Ended, Place, Run, Settings, State, Step
from federation.comparing.progress import Progress
from federation.comparing.sampling import in_turn
from federation.comparing.scenario import Ground, Scenario
from federation.comparing.scenarios import SCENARIOS
from federation.comparing.stage import REAL, SETTINGS, Stage
from federation.comparing.standing import Standing
from federation.model.errors import Invalid

BARE_OBJECTS = {"quick": 40, "full": 150}
BARE_ROUNDS = 3


def checked(settings: Settings) -> Settings:
    """The same, if it can be run. Raises Invalid."""
    unknown = [each for each in settings.scenarios if each not in SCENARIOS]
    if unknown:
        raise Invalid("--scenario", f"there is no {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    subjects = [each for each in settings.subjects if each not in SETTINGS]
    if subjects:
        raise Invalid("--modes", f"{', '.join(subjects)} cannot be started; there are {', '.join(SETTINGS)}")
    for option, value in (
        ("--rounds", settings.rounds),
        ("--members", settings.members),
        ("--objects", settings.objects),
    ):
        if value is not None and value < 1:
            raise Invalid(option, "must be 1 or more")
    return settings


def order(settings: Settings, scenarios: Mapping[str, Scenario] = SCENARIOS) -> list[Step]:
    """Every step of a run: scenario by scenario, within each as the scenario has them. Pure."""
    return [step for name in settings.scenarios for step in scenarios[name].steps(settings)]


async def run(directory: Path, settings: Settings, progress: Progress) -> Run:
    """A comparison on a stage of its own. Raises Invalid for settings that cannot be run, and as `follow`."""
    checked(settings)
    return await follow(directory, settings, order(settings), ground=Stage(progress.detail), progress=progress)


async def measure(directory: Path, settings: Settings, there: Standing, progress: Progress) -> Run:
    """A federation that somebody else runs, as it is. Raises as `follow`."""
    members = {"members": settings.members or 0}
    places: Mapping[str, Place] = {"growth": {**members, "kind": REAL}}
    steps = [step for name in settings.scenarios for step in in_turn(name, settings, [places.get(name, members)])]
    return await follow(directory, settings, steps, ground=there, progress=progress, notes=there.notes)


async def stoppable(work: Callable[[Progress], Awaitable[Run]], directory: Path) -> Run:
    """Do it, and end it in good order by SIGTERM and SIGHUP as by Ctrl-C: then KeyboardInterrupt is raised."""
    this = asyncio.current_task()
    assert this is not None  # noqa: S101 - this runs in one
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    with Progress() as progress:
        try:
            return await work(progress)
        except asyncio.CancelledError:
            progress.line(f"stopped, and everything is taken down; the same command with -o {directory} goes on")
            raise KeyboardInterrupt from None


async def follow(
    directory: Path,
    settings: Settings,
    steps: Sequence[Step],
    *,
    ground: AbstractAsyncContextManager[Ground],
    progress: Progress,
    notes: Callable[[Run], Sequence[str]] = lambda _: (),
) -> Run:
    """Do what is missing in the directory; DIR/run.json has it also when this is cancelled.

    Raises Invalid for settings that are not those of the run in the directory.
    """
    began = Began(machine=machine.machine(), settings=settings, versions=machine.versions(), began=_now())
    journal = Journal.open(directory, began)
    ended = ""
    try:
        left = journal.left(steps)
        if left:
            await _go_through(journal, settings, left, ground, progress)
        ended = _now()
    finally:
        result = journal.run(steps, ended)
        result = msgspec.structs.replace(result, notes=tuple(notes(result)))
        progress.line(f"raw data: {journal.save(result)}")
        publishing.publish([result], directory)
        progress.line(f"report: {directory / publishing.HTML}")
    return result


async def _go_through(
    journal: Journal,
    settings: Settings,
    left: Sequence[Step],
    ground: AbstractAsyncContextManager[Ground],
    progress: Progress,
) -> None:
    estimates = [SCENARIOS[step.scenario].estimate(settings, step) for step in left]
    took, thought = 0.0, 0.0
    async with ground as there:
        await _bare(journal, settings, there, progress)
        for number, (step, estimate) in enumerate(zip(left, estimates, strict=True)):
            pace = took / thought if thought else 1.0
            progress.begins(step, number + 1, len(left), sum(estimates[number:]) * pace)
            ended = await _perform(there, settings, step)
            journal.end(ended)
            progress.ended(ended)
            took, thought = took + ended.seconds, thought + estimate


async def _perform(ground: Ground, settings: Settings, step: Step) -> Ended:
    began, clock = _now(), time.monotonic()
    try:
        samples, findings = await SCENARIOS[step.scenario].run(ground, settings, step)
    except Exception as error:
        why = said(error)
        await ground.clear()
        return Ended(step=step, state=State.FAILED, began=began, seconds=round(time.monotonic() - clock, 1), why=why)
    return Ended(
        step=step,
        state=State.DONE,
        began=began,
        seconds=round(time.monotonic() - clock, 1),
        samples=tuple(samples),
        findings=tuple(findings),
    )


async def _bare(journal: Journal, settings: Settings, ground: Ground, progress: Progress) -> None:
    """The bare client, on this machine and in this run."""
    progress.line("the bare client")
    found: dict[str, list[float]] = {}
    for _ in range(BARE_ROUNDS):
        for phase, value in (await ground.bare(BARE_OBJECTS[settings.scale])).items():
            found.setdefault(phase, []).append(value)
    bare = {phase: tuple(values) for phase, values in found.items()}
    journal.measured(Bare(bare_ms=bare, servers=machine.servers()))


def said(error: BaseException) -> str:
    """What went wrong, in a line; of several failures the first one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = str(error).strip() or type(error).__name__
    return text if isinstance(error, RuntimeError | TimeoutError) else f"{type(error).__name__}: {text}"


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
