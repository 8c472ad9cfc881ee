"""Every condition, reason and state that the controller writes is explained to users."""

import re
from enum import StrEnum
from pathlib import Path

import pytest

from federation.model.conditions import ConditionType, Phase, PropagationStatus, Reason, phase

STATUS = Path(__file__).parents[3] / "docs" / "status.md"


@pytest.mark.parametrize("written", [ConditionType, Reason, PropagationStatus])
def test_the_documentation_names_each(written: type[StrEnum]) -> None:
    words = set(re.findall(r"\w+", STATUS.read_text(encoding="utf-8")))
    assert {each.value for each in written if each} - words == set()


def test_a_status_is_given_back_as_it_is_stored() -> None:
    assert all(PropagationStatus(each.value) is each for each in PropagationStatus)
    assert all(Reason(each.value) is each for each in Reason)
    assert PropagationStatus.OK.value == Reason.OK.value == ""


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("", Phase.APPLIED),
        ("Pending", Phase.UNDER_WAY),
        ("AlreadyExists", Phase.TAKEN),
        ("UpdateFailed", Phase.FAILED),
        ("VersionRetrievalFailed", Phase.FAILED),
    ],
)
def test_phases_of_stored_states(status: str, expected: Phase) -> None:
    assert phase(status) is expected


def test_what_fedctl_prints() -> None:
    assert (PropagationStatus.OK.shown, PropagationStatus.PENDING.shown) == ("Applied", "Pending")
