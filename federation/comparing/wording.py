"""How the report calls figures and places, and writes numbers. Pure.

A `Number` knows what it is computed from (`of`), so that each number in a report can be computed again from raw data.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from federation.comparing.figures import FIGURES
from federation.comparing.summary import Key, Measured

LABELS: Mapping[str, str] = {
    "hub_cpu": "hub API server CPU",
    "controller_cpu": "hub controller CPU",
    "hub_side_cpu": "hub CPU",
    "agents_cpu": "agents' CPU",
    "members_cpu": "members' API server CPU",
    "hub_writes": "writes at the hub",
    "hub_requests": "requests at the hub",
    "member_writes": "writes in members",
    "member_requests": "requests in members",
    "hub_bytes": "bytes the hub sent",
    "latency": "latency to the last member",
    "member_latency": "latency to one member",
    "done": "time until all is done",
    "hub_cpu_rest": "hub API server CPU at rest",
    "controller_cpu_rest": "hub controller CPU at rest",
    "hub_side_cpu_rest": "hub CPU at rest",
    "agent_cpu_rest": "CPU of an agent at rest",
    "hub_requests_rest": "requests at the hub at rest",
    "hub_memory": "hub API server memory",
    "controller_memory": "hub controller memory",
    "hub_side_memory": "hub memory",
    "agent_memory": "memory of an agent",
    "hub_watches": "watches at the hub",
    "member_watches": "watches at a member",
    "hub_keys": "objects in the hub's etcd",
    "hub_stored": "bytes in the hub's etcd",
    "rate": "changes per second",
    "core_full": "changes per second that fill a core",
    "controller_share": "controller's part of the hub's CPU",
    "commands": "commands to type per cluster",
    "copied": "credentials carried per cluster",
    "until_ready": "time until all clusters are Ready",
    "until_held": "time until all objects are in all clusters",
    "broken": "steps of the upgrade that broke",
    "silent": "broken steps the hub does not tell of",
    "broken_for": "time in which changes did not arrive",
    "seen": "faults that the hub shows",
    "seen_after": "time until the hub shows a fault",
    "seen_by": "commands to see a fault",
    "repaired": "edits put back during the cut",
    "converged": "time to agree after the cut",
    "lost": "changes lost",
    "twice": "objects made or written twice",
    "secrets": "credentials at the hub that open a member",
    "valid": "validity of the longest credential",
    "reach": "members a thief of the hub can write in",
}
"""Of every figure, for tables and sentences."""

_KEYS: Mapping[str, str] = {
    "members": "{} member",
    "clusters": "{} cluster",
    "objects": "{} object",
    "phase": "{}",
    "application": "an application of {}",
    "cut": "the cut of the {}",
    "rtt_ms": "{} ms round trip",
    "loss_percent": "{} % lost",
    "hangs": "{} hanging member",
}
_MANY = ("members", "clusters", "objects", "hangs")
"""What is counted, and takes an s."""
_UNSAID = (("phase", "rest"), ("loss_percent", 0), ("hangs", 0))
"""Of places: figures of rest say so themselves, and nothing lost or hanging is how it should be."""
_ONE = {"members": "1 member", "clusters": "1 cluster", "objects": "1 object", "hangs": "1 member hangs"}
_UNITS = {"ms/object": "ms", "ms/placement": "ms", "share": "%", "bytes/object": "B", "commands": "", "objects": ""}


@dataclass(frozen=True, slots=True)
class Number:
    """A number of the report."""

    value: float
    text: str
    of: str
    """What of which keys: `median KEY`, `low KEY`, `high KEY`, `ratio KEY KEY`, `bare KEY` and others of `number`."""


Said = tuple[str | Number, ...]
"""A sentence, and the numbers in it."""


_NOTHING = 1e-6
"""Below it a number is what arithmetic makes of 0."""


def name(key: Key) -> str:
    """A key in one word."""
    at = ",".join(f"{name}={value}" for name, value in key.at)
    return "/".join((key.machine, key.scenario, key.subject, key.figure, key.part, at)).replace(" ", "_")


def label(figure: str, part: str = "") -> str:
    """Of a figure and a percentile of it."""
    return f"{LABELS[figure]}, {part}" if part else LABELS[figure]


def unit(figure: str) -> str:
    """Behind a number; the label says what it is of."""
    known = FIGURES[figure].unit
    return _UNITS.get(known, known.replace("/", " per "))


def short_unit(figure: str) -> str:
    """As `unit`, for the end of a number in a sentence or a cell."""
    known = FIGURES[figure].unit.split("/", maxsplit=1)[0]
    return {"share": "%", "bytes": "B"}.get(known, known if known in ("ms", "s", "MB", "%", "days") else "")


def axis(figure: str) -> str:
    """As the title of an axis says it."""
    return FIGURES[figure].unit.replace("/", " per ").replace("share", "%")


def place(at: Mapping[str, int | float | str]) -> str:
    """As "8 members, update"; empty for no place."""
    words = []
    kind = f" {at['kind']}" if "kind" in at else ""
    if kind and "members" not in at:
        words.append(f"{at['kind']} members")
    for key, value in at.items():
        if key != "kind" and (key, value) not in _UNSAID:
            text = f"{value:,}" if isinstance(value, int) else str(value)
            text += kind if key == "members" else ""
            words.append(_KEYS.get(key, f"{key} {{}}").format(text) + ("" if value == 1 or key not in _MANY else "s"))
    return ", ".join(words)


def shown(value: float) -> str:
    """Three digits, all of those before the point."""
    if math.isinf(value):
        return "unlimited"
    if abs(value) < _NOTHING:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    text = f"{value:,.{max(0, digits)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def median(measured: Measured) -> Number:
    """With its unit."""
    return _number(measured, measured.median, "median")


def low(measured: Measured) -> Number:
    """The least of the rounds, without a unit."""
    return _number(measured, measured.low, "low", units=False)


def high(measured: Measured) -> Number:
    """The greatest of the rounds, without a unit."""
    return _number(measured, measured.high, "high", units=False)


def _number(measured: Measured, value: float, what: str, *, units: bool = True) -> Number:
    figure = FIGURES[measured.key.figure]
    ending = short_unit(figure.name) if units and not math.isinf(value) else ""
    text = shown(value * 100 if figure.unit == "share" else value)
    return Number(value, f"{text} {ending}".rstrip(), f"{what} {name(measured.key)}")


def ratio(one: Measured, other: Measured) -> Number:
    """The first's median in terms of the other's."""
    value = one.median / other.median
    return Number(value, shown(value), f"ratio {name(one.key)} {name(other.key)}")


def listed(words: Sequence[str]) -> str:
    """As "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def capital(text: str) -> str:
    """As a sentence begins."""
    return text[:1].upper() + text[1:]
