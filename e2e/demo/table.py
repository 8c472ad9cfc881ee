"""Show the members: a live table of clusters by objects on a terminal, plain lines anywhere else.

The steps report their progress by `report` and `done`; the table is drawn from what `observe` has, as it changes.
"""

import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from e2e.demo.clusters import MEMBERS
from e2e.demo.observe import Observer
from e2e.demo.world import read

NOTHING = "-"
_WIDEST = 120


class Screen(Protocol):
    """Where the demo is shown. `pace` is how many seconds each step stays on the screen."""

    pace: float

    def report(self, line: str) -> None:
        """One line of progress."""

    def begin(self, number: int, title: str) -> None:
        """A step begins."""

    def done(self, seconds: float, observer: Observer | None) -> None:
        """A step has been observed to be complete."""

    def watch(self, observer: Observer) -> None:
        """From now on there are members to show."""

    def close(self) -> None:
        """Nothing more is shown."""


def screen() -> Screen:
    """A live table when stdout is a terminal that can do it."""
    console = Console(highlight=False)
    return Terminal(console) if console.is_terminal and not console.is_dumb_terminal else Plain()


class Plain:
    """Lines, for files, pipes and CI."""

    pace = 0.0

    def __init__(self) -> None:
        self._began = time.monotonic()

    def report(self, line: str) -> None:
        """One line, with the time since the start."""
        self._print(f"[{time.monotonic() - self._began:5.1f} s]   {line}")

    def begin(self, number: int, title: str) -> None:
        """A headline."""
        self._print(f"[{time.monotonic() - self._began:5.1f} s] {number}. {title}")

    def done(self, seconds: float, observer: Observer | None) -> None:
        """What the members hold now."""
        self._print(f"[{time.monotonic() - self._began:5.1f} s]   observed after {seconds:.1f} s")
        for row in rows(observer) if observer is not None else ():
            cells = "  ".join(f"{name}: {cell}" for name, cell in zip(MEMBERS, row[1:], strict=True))
            self._print(f"{'':12}{row[0]:<20} {cells}")

    def watch(self, observer: Observer) -> None:
        """Plain lines show it at the end of each step."""

    def close(self) -> None:
        """Nothing to undo."""

    @staticmethod
    def _print(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class Terminal:
    """A live table of the members, with the lines of progress above it."""

    pace = 1.2

    def __init__(self, console: Console) -> None:
        self._console = console
        self._observer: Observer | None = None
        self._live = Live(console=console, get_renderable=self._draw, refresh_per_second=8, transient=False)
        self._live.start()

    def report(self, line: str) -> None:
        """A line above the table."""
        self._console.print(Text(f"   {line}", style="dim"))

    def begin(self, number: int, title: str) -> None:
        """A headline above the table."""
        self._console.print(Text(f"{number}. {title}", style="bold"))

    def done(self, seconds: float, observer: Observer | None) -> None:
        """A line that the step was observed, and when."""
        self._console.print(Text(f"   observed after {seconds:.1f} s", style="green"))

    def watch(self, observer: Observer) -> None:
        """Draw the table from now on."""
        self._observer = observer

    def close(self) -> None:
        """Leave the last table where it is."""
        self._live.stop()

    def _draw(self) -> Table | Text:
        if self._observer is None:
            return Text("")
        width = min(self._console.width, _WIDEST)
        table = Table(title="what the members hold", title_justify="left", width=width)
        table.add_column("object", no_wrap=True, width=18)
        for name in MEMBERS:
            table.add_column(Text(heading(self._observer, name)), ratio=1, no_wrap=True, overflow="ellipsis")
        for row in rows(self._observer):
            table.add_row(*(Text(cell, style="dim" if cell in {NOTHING, "?"} else "") for cell in row))
        return table


def heading(observer: Observer, member: str) -> str:
    """A member's name, labels and state."""
    found = observer.members.get(member)
    if found is None:
        return f"{member}\nnot joined"
    labels = ",".join(f"{key}={value}" for key, value in sorted(found.labels.items()))
    state = "does not answer" if member in observer.silent else "Ready" if found.ready else "not Ready"
    return f"{member}\n{labels or 'no labels'}\n{state}"


def rows(observer: Observer) -> list[tuple[str, ...]]:
    """One row for every object that any member holds: its name, then a cell for each member."""
    names = sorted({name for name, _ in observer.objects})
    return [(name, *(_cell(observer, name, member) for member in MEMBERS)) for name in names]


def _cell(observer: Observer, name: str, member: str) -> str:
    if member in observer.silent:
        return "?"
    item = observer.objects.get((name, member))
    if item is None:
        return NOTHING
    if item["metadata"].get("deletionTimestamp"):
        return "going"
    return summary(name.partition(" ")[0], item)


def summary(kind: str, item: Mapping[str, Any]) -> str:
    """A few words that show an object's state. Never a Secret's values."""
    match kind:
        case "ConfigMap":
            text = " ".join(f"{key}={value}" for key, value in sorted((item.get("data") or {}).items()))
        case "Secret":
            text = f"keys: {', '.join(sorted(item.get('data') or {}))}"
        case "Service":
            text = f"port {read(item, '/spec/ports/0/port')}"
        case "Deployment":
            image = str(read(item, "/spec/template/spec/containers/0/image"))
            text = f"{image.rpartition('/')[2]} x {read(item, '/spec/replicas')}"
        case "Website":
            text = str(read(item, "/spec/domain"))
        case _:
            text = str(read(item, "/status/phase") or "there")
    return text
