"""What a scenario is: steps that follow from the settings, and how one of them is measured on a stage."""

from collections.abc import Sequence
from typing import Protocol

from federation.comparing.model import Finding, Sample, Settings, Step
from federation.comparing.stage import Stage

Measured = tuple[Sequence[Sample], Sequence[Finding]]


class Scenario(Protocol):
    """One of them. The name is that of its claim."""

    name: str

    def steps(self, settings: Settings) -> Sequence[Step]:
        """What is to be measured of all subjects in all rounds, in their order. Pure."""
        ...

    def estimate(self, settings: Settings, step: Step) -> float:
        """Seconds that the step takes on two cores, roughly. Pure."""
        ...

    async def run(self, stage: Stage, settings: Settings, step: Step) -> Measured:
        """Measure it. What it raises is recorded as the reason why the step failed."""
        ...
