"""The scenarios that there are, by the names of their claims and in their order."""

from collections.abc import Mapping

from federation.comparing.claims import SCENARIOS as CLAIMS
from federation.comparing.scenario import Scenario
from federation.comparing.scenarios import bend, growth, hub_load, twins

_ALL: tuple[Scenario, ...] = (hub_load.HubLoad(), growth.Growth(), twins.Twins(), bend.Bend())

SCENARIOS: Mapping[str, Scenario] = {
    claim.scenario: each for claim in CLAIMS for each in _ALL if each.name == claim.scenario
}
