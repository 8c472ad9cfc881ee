"""DIR/journal.jsonl: the steps that have ended, each written at once, so that a stopped run goes on where it was.

The first line has what the run is (settings, machine, versions); it must be the same to go on. DIR/run.json is made
from it, at the end and when a run is stopped.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

import msgspec

from federation.comparing import model
from federation.comparing.model import Ended, Machine, Run, Settings, State, Step
from federation.model.errors import Invalid

JOURNAL = "journal.jsonl"
RUN = "run.json"


class Began(msgspec.Struct, frozen=True, kw_only=True):
    """The first line."""

    format: int = model.FORMAT
    machine: Machine
    settings: Settings
    versions: Mapping[str, str]
    began: str


class Bare(msgspec.Struct, frozen=True, kw_only=True):
    """What the bare client needed, by phase: a measurement of this run, after which it goes on."""

    bare_ms: Mapping[str, tuple[float, ...]]
    servers: Mapping[str, str] = {}


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of the file; one of them."""

    began: Began | None = None
    bare: Bare | None = None
    ended: Ended | None = None


class Journal:
    """Make one with `open`."""

    def __init__(self, directory: Path, began: Began) -> None:
        self._directory = directory
        self.began = began
        self._bare: list[Bare] = []
        self._ended: dict[str, Ended] = {}

    @classmethod
    def open(cls, directory: Path, began: Began) -> Self:
        """A new one, or that of a run that was stopped, if it is of the same machine and settings.

        Raises Invalid where it is another's, or no journal.
        """
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / JOURNAL
        lines = _read(path)
        if not lines:
            path.write_bytes(b"")
            journal = cls(directory, began)
            journal._write(_Line(began=began))
            return journal
        before = lines[0].began
        if before is None:
            raise Invalid(str(path), "does not begin as the journal of a comparison: choose another directory")
        _agree(path, before, began)
        journal = cls(directory, before)
        for line in lines[1:]:
            journal._take(line)
        return journal

    def left(self, steps: Iterable[Step]) -> list[Step]:
        """Those that are missing: not ended, or failed, in their order."""
        return [step for step in steps if (ended := self._ended.get(_key(step))) is None or ended.state is State.FAILED]

    def end(self, ended: Ended) -> None:
        """Write it; it is on the disk when this returns."""
        line = _Line(ended=ended)
        self._take(line)
        self._write(line)

    def measured(self, bare: Bare) -> None:
        """The bare client of this run, or of its continuation."""
        line = _Line(bare=bare)
        self._take(line)
        self._write(line)

    def run(self, steps: Iterable[Step], ended: str, notes: Iterable[str] = ()) -> Run:
        """All of it, steps in the order given; `ended` "" while some are missing."""
        bare: dict[str, tuple[float, ...]] = {}
        servers: dict[str, str] = {}
        for each in self._bare:
            servers |= each.servers
            for phase, values in each.bare_ms.items():
                bare[phase] = (*bare.get(phase, ()), *values)
        return Run(
            machine=self.began.machine,
            versions={**self.began.versions, **servers},
            settings=self.began.settings,
            began=self.began.began,
            ended=ended,
            bare_ms=bare,
            steps=tuple(found for step in steps if (found := self._ended.get(_key(step))) is not None),
            notes=tuple(notes),
        )

    def save(self, run: Run) -> Path:
        """Write DIR/run.json, whole or not at all."""
        path = self._directory / RUN
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(model.encode(run))
        temporary.replace(path)
        return path

    def _take(self, line: _Line) -> None:
        if line.ended is not None:
            self._ended[_key(line.ended.step)] = line.ended
        if line.bare is not None:
            self._bare.append(line.bare)

    def _write(self, line: _Line) -> None:
        with (self._directory / JOURNAL).open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _key(step: Step) -> str:
    return msgspec.json.encode(msgspec.structs.replace(step, at=dict(sorted(step.at.items())))).decode()


def _read(path: Path) -> list[_Line]:
    """Every whole line. A last one that is torn is cut off: the run was ended while it wrote."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    whole, newline, torn = content.rpartition(b"\n")
    if torn:
        with path.open("ab") as file:
            file.truncate(len(whole) + len(newline))
    found = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            found.append(msgspec.json.decode(line, type=_Line))
        except msgspec.DecodeError as error:
            raise Invalid(f"{path}:{number}", f"is no line of a comparison's journal: {error}") from None
    return found


def _agree(path: Path, before: Began, now: Began) -> None:
    if before.format != now.format:
        raise Invalid(str(path), f"has format {before.format}, this version writes {now.format}")
    was, asked = msgspec.to_builtins(before.settings), msgspec.to_builtins(now.settings)
    other = [f"{name} was {was[name]}, is {asked[name]}" for name in was if was[name] != asked[name]]
    if other:
        raise Invalid(str(path), f"is of a run with other settings ({'; '.join(other)}): choose another directory")
    if before.machine.identity != now.machine.identity:
        raise Invalid(str(path), "is of another machine, or from before its restart: choose another directory")
    changed = [name for name, version in before.versions.items() if now.versions.get(name) != version]
    if changed:
        raise Invalid(str(path), f"is of other versions ({', '.join(changed)}): choose another directory")
