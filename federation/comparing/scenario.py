"""What a scenario is: steps that follow from the settings, and how one of them is measured on a stage."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from federation.comparing.accounting import Federation
from federation.comparing.model import Finding, Sample, Settings, Step
from federation.comparing.site import Site
from federation.comparing.workload import Workload

Measured = tuple[Sequence[Sample], Sequence[Finding]]


class Ground(Protocol):
    """Where a scenario takes place: a `Stage`, or a federation that somebody else runs (`standing`)."""

    @property
    def hub_keys(self) -> str:
        """What the hub's keys in etcd begin with."""
        ...

    def federation(self, subject: str, members: int, kind: str = "real") -> AbstractAsyncContextManager[Federation]:
        """So many members in the mode of the subject, all Ready."""
        ...

    def workload(self, of: Federation, *, kinds: tuple[str, ...] = ("ConfigMap",)) -> Workload:
        """A namespace that no other step has had."""
        ...

    async def site(self) -> Site:
        """A federation of members of both modes whose links can be cut. Raises RuntimeError where there is none."""
        ...

    async def bare(self, objects: int) -> Mapping[str, float]:
        """CPU of the bare client per apply in the members, in ms, by phase. Empty where it cannot run."""
        ...

    async def clear(self) -> None:
        """After a step that failed, or that leaves what the next one must not have: a fleet of our own is made anew."""
        ...


class Scenario(Protocol):
    """One of them. The name is that of its claim."""

    name: str

    def steps(self, settings: Settings) -> Sequence[Step]:
        """What is to be measured of all subjects in all rounds, in their order. Pure."""
        ...

    def estimate(self, settings: Settings, step: Step) -> float:
        """Seconds that the step takes on two cores, roughly. Pure."""
        ...

    async def run(self, ground: Ground, settings: Settings, step: Step) -> Measured:
        """Measure it. What it raises is recorded as the reason why the step failed."""
        ...
