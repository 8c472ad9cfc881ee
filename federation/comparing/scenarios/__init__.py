"""The scenarios that there are, by the names of their claims and in their order."""

from collections.abc import Mapping

from federation.comparing.claims import SCENARIOS as CLAIMS
from federation.comparing.scenario import Scenario
from federation.comparing.scenarios import (
    bend,
    credentials,
    cut,
    distance,
    growth,
    hub_load,
    joining,
    trouble,
    twins,
    versions,
)

_ALL: tuple[Scenario, ...] = (
    joining.Joining(),
    hub_load.HubLoad(),
    growth.Growth(),
    twins.Twins(),
    versions.Versions(),
    trouble.Troubles(),
    cut.Cut(),
    credentials.Credentials(),
    bend.Bend(),
    distance.Distance(),
)

SCENARIOS: Mapping[str, Scenario] = {
    claim.scenario: each for claim in CLAIMS for each in _ALL if each.name == claim.scenario
}
