"""The image's locked dependencies fit what the project asks for, and what does not fit is said."""

import pytest
from packaging.requirements import Requirement

from image import lock

HASH = "    --hash=sha256:" + "0f" * 32
GOOD = f"click==8.5.1 \\\n{HASH} \\\n{HASH}\nrich==15.0.0 ; python_version > '3' \\\n{HASH}\n"
ASKED = [Requirement("click >= 8.2"), Requirement("Rich >= 14; sys_platform != 'win32'")]


def test_the_projects_own_lock_fits() -> None:
    assert lock.check() == []


def test_a_lock_that_fits() -> None:
    assert list(lock.faults(ASKED, GOOD)) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (GOOD.replace("8.5.1", "8.1"), "click 8.1 is not >=8.2"),
        (GOOD.replace("click", "klick"), "click is missing"),
        (GOOD + "six==1.17.0\n", "an entry has no version, no hash, or is there twice"),
        (GOOD + f"six>=1 \\\n{HASH}\n", "an entry has no version, no hash, or is there twice"),
        ("", "click is missing"),
    ],
)
def test_a_lock_that_does_not(text: str, fault: str) -> None:
    assert fault in list(lock.faults(ASKED, text))
