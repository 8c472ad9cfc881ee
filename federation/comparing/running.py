"""A run: the steps that follow from its settings, one after another, each written down as it ends.

A step that fails is recorded with its reason, the fleet is made anew, and the run goes on. A run that is stopped keeps
what has ended; started again with the same directory it goes on with what is missing.
"""

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from federation.comparing import machine, report, yardstick
from federation.comparing.journal import Bare, Began, Journal
from federation.comparing.model import Ended, Run, Settings, State, Step
from federation.comparing.progress import Progress
from federation.comparing.scenario import Scenario
from federation.comparing.scenarios import SCENARIOS
from federation.comparing.stage import SETTINGS, Stage
from federation.model.errors import Invalid

BARE_MEMBERS = 2
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
    """Do what is missing in the directory; DIR/run.json has it also when this is cancelled.

    Raises Invalid for settings that cannot be run, or that are not those of the run in the directory.
    """
    checked(settings)
    began = Began(machine=machine.machine(), settings=settings, versions=machine.versions(), began=_now())
    journal = Journal.open(directory, began)
    steps = order(settings)
    ended = ""
    try:
        left = journal.left(steps)
        if left:
            await _go_through(journal, settings, left, progress)
        ended = _now()
    finally:
        result = journal.run(steps, ended)
        progress.line(f"raw data: {journal.save(result)}")
        progress.line(f"report: {_report(directory, result)}")
    return result


def _report(directory: Path, result: Run) -> Path:
    """Of what there is."""
    made = report.make([result])
    (directory / "report.md").write_text(made.markdown)
    page = directory / "report.html"
    page.write_text(made.html)
    return page


async def _go_through(journal: Journal, settings: Settings, left: Sequence[Step], progress: Progress) -> None:
    estimates = [SCENARIOS[step.scenario].estimate(settings, step) for step in left]
    took, thought = 0.0, 0.0
    async with Stage(progress.detail) as stage:
        await _bare(journal, settings, stage, progress)
        for number, (step, estimate) in enumerate(zip(left, estimates, strict=True)):
            pace = took / thought if thought else 1.0
            progress.begins(step, number + 1, len(left), sum(estimates[number:]) * pace)
            ended = await _perform(stage, settings, step)
            journal.end(ended)
            progress.ended(ended)
            took, thought = took + ended.seconds, thought + estimate


async def _perform(stage: Stage, settings: Settings, step: Step) -> Ended:
    began, clock = _now(), time.monotonic()
    try:
        samples, findings = await SCENARIOS[step.scenario].run(stage, settings, step)
    except Exception as error:
        why = said(error)
        await stage.clear()
        return Ended(step=step, state=State.FAILED, began=began, seconds=round(time.monotonic() - clock, 1), why=why)
    return Ended(
        step=step,
        state=State.DONE,
        began=began,
        seconds=round(time.monotonic() - clock, 1),
        samples=tuple(samples),
        findings=tuple(findings),
    )


async def _bare(journal: Journal, settings: Settings, stage: Stage, progress: Progress) -> None:
    """The bare client, on this machine and in this run."""
    progress.line("the bare client")
    found: dict[str, list[float]] = {}
    async with stage.federation(settings.subjects[0] if len(settings.subjects) == 1 else "push", BARE_MEMBERS):
        for _ in range(BARE_ROUNDS):
            figures = await yardstick.measure(stage.fleet, BARE_OBJECTS[settings.scale])
            for phase, value in figures["client"].items():
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
