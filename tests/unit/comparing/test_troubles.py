"""Troubles and upgrades: each is recognised by its own words, and what breaks is broken until a change arrives."""

from collections.abc import Mapping
from typing import Any, cast

import msgspec
import pytest

from federation.comparing.contract import Upgrade
from federation.comparing.model import Settings
from federation.comparing.scenarios import trouble, versions
from federation.comparing.scenarios.versions import CHANGES, Rolling
from federation.comparing.site import Member, Site
from federation.comparing.troubles import TROUBLES

QUICK = Settings(scale="quick", scenarios=(), subjects=("push", "pull"), rounds=1, seed=1)
FULL = msgspec.structs.replace(QUICK, scale="full")


def test_a_dozen_of_them_and_the_quick_ones_among_them() -> None:
    assert len({each.name for each in TROUBLES}) == len(TROUBLES) >= 12
    assert set(trouble.chosen(QUICK)) < set(trouble.chosen(FULL)) == set(TROUBLES)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("an image that cannot be pulled", '{"ready": "0/1", "unhealthy": "0 of 1 replicas are available"}'),
        ("a quota that is full", '{"unhealthy": "replicas cannot be made: FailedCreate"}'),
        ("a Job that fails", '{"unhealthy": "it failed: BackoffLimitExceeded"}'),
        ("an admission policy that refuses a change", '{"message": "denied request", "status": "UpdateFailed"}'),
    ],
)
def test_a_trouble_is_told_by_the_line_that_has_its_words(name: str, text: str) -> None:
    found = next(each for each in TROUBLES if each.name == name)
    assert found.told(f"before\n  {text}\nafter") == text
    assert found.told("m1: Ready\npolicies: takeover Always (default), drift Correct (default)") == ""


class Slow(Rolling):
    """Changes arrive as `arrives` says, by number; a second each."""

    def __init__(self, arrives: Mapping[int, bool]) -> None:
        super().__init__(cast("Site", None), cast("list[Member]", []), "push", 1.0)
        self._arriving = arrives

    async def _serve(self, *_: Any) -> None:
        """Nothing is upgraded."""

    async def _enable(self, *_: Any) -> None:
        """Nothing is enabled."""

    async def _arrives(self, number: int, *, field: bool) -> bool:
        return self._arriving[number]

    async def _says(self) -> str:
        return "m1: VersionUnavailable"

    def _of(self, change: versions.Change) -> list[Any]:
        return []


async def rolled(*arrived: bool) -> list[Upgrade]:
    rolling = Slow(dict(enumerate(arrived)))
    rows = [await rolling.step(number, CHANGES[0]) for number in range(len(arrived))]
    return rolling.ended(dict(enumerate(rows)))


async def test_what_breaks_is_broken_until_a_change_arrives() -> None:
    fine, first, second, mended, last = await rolled(True, False, False, True, False)
    assert [each.broke for each in (fine, first, second, mended, last)] == [False, True, True, False, True]
    assert fine.seconds == mended.seconds == 0.0
    assert fine.hub_says == mended.hub_says == ""
    assert first.hub_says == "m1: VersionUnavailable"
    assert first.seconds >= second.seconds >= 0.0


def test_definitions_of_the_type() -> None:
    both = versions.crd("push", ("v1", "v2"))["spec"]["versions"]
    fields = [set(each["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]) for each in both]
    assert fields == [{"size"}, {"size", "colour"}]
    assert [each["storage"] for each in both] == [False, True]
    assert CHANGES[-1].serves == ("v2",)
    assert [change.field for change in CHANGES] == sorted(change.field for change in CHANGES)  # once set, it stays
