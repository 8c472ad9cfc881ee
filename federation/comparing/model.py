"""The raw data of a comparison: what was run, what was measured, what was found. A report is made from it alone.

`Run` is one JSON document. Figures are kept as they were measured, by round and by trial: medians, percentiles and
ratios are computed from them each time, so that every number of a report can be found again.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

FORMAT = 1
"""Of the document. A reader refuses others."""

Place = Mapping[str, int | float | str]
"""Under what a value was measured, as {"members": 8, "phase": "create"}. Values of equal places are rounds of one."""


class Subject(StrEnum):
    """Ways to run a federation that `fedctl compare` can start itself. `compare measure` gives others their names."""

    PUSH = "push"
    PULL = "pull"
    PULL_BUNDLED = "pull-bundled"


class State(StrEnum):
    """How far a step of a scenario got."""

    DONE = "done"
    FAILED = "failed"
    LEFT_OUT = "left out"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured without a break: one scenario, one subject, one round, under `at`. A stopped run goes on with
    the first step that is not in its journal."""

    scenario: str
    subject: str
    round: int
    at: Place = {}


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Measured values of one figure (see `figures`), in its unit; several where a step tries it several times."""

    scenario: str
    subject: str
    round: int
    figure: str
    values: tuple[float, ...]
    at: Place = {}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen and is no number: a row `about` something, with named facts."""

    scenario: str
    subject: str
    round: int
    about: str
    facts: Mapping[str, str | float | bool | None]
    at: Place = {}


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a step ended: `why` for those that did not do all, in words for the report."""

    step: Step
    state: State
    began: str
    """RFC 3339, UTC."""
    seconds: float
    why: str = ""
    samples: tuple[Sample, ...] = ()
    findings: tuple[Finding, ...] = ()


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured. Milliseconds of different `identity` are never compared."""

    identity: str
    """A digest of what tells machines apart; it names nobody."""
    processor: str
    cores: int
    memory_mb: int
    kernel: str


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for; the same again gives the same steps and the same objects in the same order."""

    scale: str
    """quick or full"""
    scenarios: tuple[str, ...]
    subjects: tuple[str, ...]
    rounds: int
    seed: int
    members: int | None = None
    objects: int | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of `fedctl compare`, or of `fedctl compare measure`."""

    format: int = FORMAT
    machine: Machine
    versions: Mapping[str, str]
    """Of this project, the API server, etcd, Python and the packages that count."""
    settings: Settings
    began: str
    ended: str = ""
    """Empty while it runs, and of one that was stopped."""
    bare_ms: Mapping[str, tuple[float, ...]] = {}
    """CPU ms per object of the bare client (server-side apply, nothing else) in this run, by phase: what figures of
    other machines are put in proportion with."""
    steps: tuple[Ended, ...] = ()
    notes: tuple[str, ...] = ()
    """What an adapter cannot count, and other things that a reader must know."""


def encode(run: Run) -> bytes:
    """The document, for people to read."""
    return msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n"


def decode(content: bytes) -> Run:
    """The document. Raises ValueError that says what is wrong with it, of another format too."""
    try:
        run = msgspec.json.decode(content, type=Run)
    except msgspec.DecodeError as error:
        raise ValueError(f"this is not the raw data of a comparison: {error}") from None
    if run.format != FORMAT:
        raise ValueError(f"format {run.format} of raw data is not known; this version reads {FORMAT}")
    return run
