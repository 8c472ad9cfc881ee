"""Metrics that have samples for each cluster: they grow with the fleet, so one costs little and a scrape takes turns.

prometheus_client makes a scrape in one step, of 1.0 s at 1,000 clusters with ten types, keeps 0.9 kB for each line, and
looks at every sample to forget one cluster. Here a line is written with one look-up (a tenth of the time and memory),
in steps of LINES. Everything runs on the event loop: nothing is locked.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

LINES = 1_000
"""Lines that are written in one step: about a millisecond."""


class Sample:
    """One number with its labels."""

    __slots__ = ("_head", "_read", "value")

    def __init__(self, head: str) -> None:
        self._head = head
        self._read: Callable[[], float] | None = None
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        """Count on."""
        self.value += amount

    def set(self, value: float) -> None:
        """It is this now."""
        self.value = value

    def set_function(self, read: Callable[[], float]) -> None:
        """It is whatever this returns when it is asked for."""
        self._read = read

    @property
    def now(self) -> float:
        """The number."""
        return float(self.value if self._read is None else self._read())

    @property
    def line(self) -> str:
        """As /metrics shows it."""
        return f"{self._head} {self.now!r}\n"


class _Parts:
    """What several have part in: `together` makes one number of theirs."""

    def __init__(self, together: Callable[[Iterable[float]], float]) -> None:
        self._together = together
        self.reads: dict[object, Callable[[], float]] = {}

    def __call__(self) -> float:
        return self._together(read() for read in self.reads.values()) if self.reads else 0.0


class Family:
    """One metric. `labels` are the names of its labels; what is forgotten together has the same value of the first.

    Where several follow a sample, `together` makes one number of theirs.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        about: str,
        labels: Sequence[str] = (),
        together: Callable[[Iterable[float]], float] = sum,
    ) -> None:
        self.name = name
        self._together = together
        self._header = f"# HELP {name} {about}\n# TYPE {name} {kind}\n"
        self._order = sorted(range(len(labels)), key=labels.__getitem__)
        self._labels = tuple(labels)
        self._samples: dict[str, dict[tuple[str, ...], Sample]] = {}
        self._parts: dict[tuple[str, ...], _Parts] = {}
        if not labels:
            self._samples[""] = {(): Sample(name)}

    def follow(self, read: Callable[[], float], *values: str) -> Callable[[], None]:
        """Have part in a sample, which is whatever such functions return together when it is asked for.

        For what several controllers of one process count, each for itself. Returns what ends it; a sample with labels
        is there while somebody follows it.
        """
        parts, part = self._parts.get(values), object()
        if parts is None:
            parts = self._parts[values] = _Parts(self._together)
            self.labels(*values).set_function(parts)
        parts.reads[part] = read

        def end() -> None:
            parts.reads.pop(part, None)
            if not parts.reads and values and self._parts.get(values) is parts:
                del self._parts[values]
                self._samples.get(values[0], {}).pop(values[1:], None)

        return end

    def labels(self, first: str = "", *others: str) -> Sample:
        """The sample with these values of the labels."""
        samples = self._samples.get(first)
        if samples is None:
            samples = self._samples[first] = {}
        sample = samples.get(others)
        if sample is None:
            if len(others) + 1 != len(self._labels):
                raise ValueError(f"{self.name} has the labels {self._labels}")
            sample = samples[others] = Sample(self._head((first, *others)))
        return sample

    def value(self, *values: str) -> float | None:
        """The number with these values of the labels; None where there is none."""
        sample = self._samples.get(values[0] if values else "", {}).get(values[1:])
        return None if sample is None else sample.now

    def forget(self, first: str) -> None:
        """Drop every sample with this value of the first label."""
        self._samples.pop(first, None)
        for values in [each for each in self._parts if each[:1] == (first,)]:
            del self._parts[values]

    def steps(self) -> Iterator[str]:
        """Its lines, LINES or few more at a time; samples may come and go in between."""
        lines = [self._header]
        for first in list(self._samples):
            lines += [sample.line for sample in self._samples.get(first, {}).values()]
            if len(lines) >= LINES:
                yield "".join(lines)
                lines = []
        yield "".join(lines)

    def _head(self, values: Sequence[str]) -> str:
        pairs = (f'{self._labels[each]}="{_escaped(values[each])}"' for each in self._order)
        return f"{self.name}{{{','.join(pairs)}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
