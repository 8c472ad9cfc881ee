"""What a run says while it goes on, on stderr: what is measured, what is left, and figures as they come.

On a terminal the last line moves; elsewhere every line stays.
"""

from collections.abc import Iterable
from statistics import median

from rich.console import Console
from rich.status import Status

from federation.comparing.figures import FIGURES
from federation.comparing.model import Ended, Sample, State, Step

SHOWN = ("hub_cpu", "controller_cpu", "agents_cpu", "latency", "rate", "hub_keys", "until_held", "converged")
"""The figures that are told as they come."""


class Progress:
    """Use as a context manager. `detailed`: lines of the playground, too."""

    def __init__(self, console: Console | None = None, *, detailed: bool = False) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._detailed = detailed
        self._status: Status | None = None

    def __enter__(self) -> "Progress":
        if self._console.is_terminal:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def line(self, text: str) -> None:
        """That stays."""
        self._console.print(text, markup=False)

    def detail(self, text: str) -> None:
        """What the playground does."""
        if self._detailed:
            self.line(f"  {text}")
        elif self._status is not None:
            self._status.update(f"[dim]{text}[/dim]")

    def begins(self, step: Step, number: int, of: int, left: float) -> None:
        """A step, and the seconds that are thought to be left with it."""
        text = f"{number}/{of} {described(step)}; {minutes(left)} left"
        if self._status is not None:
            self._status.update(text)
        else:
            self.line(text)

    def ended(self, ended: Ended) -> None:
        """A step, with some of its figures."""
        if ended.state is not State.DONE:
            self.line(f"{described(ended.step)}: {ended.state}: {ended.why}")
            return
        self.line(f"{described(ended.step)}: {ended.seconds:.0f} s")
        for line in figures(ended.samples):
            self.line(f"  {line}")


def described(step: Step) -> str:
    """As `hub-load: push, 2 members, round 1`."""
    at = ", ".join(f"{value} {name}" for name, value in step.at.items())
    return f"{step.scenario}: {step.subject}{', ' if at else ''}{at}, round {step.round}"


def figures(samples: Iterable[Sample]) -> list[str]:
    """A line for each phase of the samples, with the figures that are shown."""
    lines: dict[str, list[str]] = {}
    for each in samples:
        if each.figure in SHOWN and each.values:
            value = f"{each.figure} {median(each.values):.3g} {FIGURES[each.figure].unit}"
            lines.setdefault(str(each.at.get("phase", "")), []).append(value)
    return [f"{phase}: {', '.join(values)}" if phase else ", ".join(values) for phase, values in lines.items()]


def minutes(seconds: float) -> str:
    """About so long."""
    return "less than a minute" if seconds < 60 else f"about {round(seconds / 60)} min"
