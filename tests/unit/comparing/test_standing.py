"""Which processes somebody names for a controller that he runs himself."""

import os

import pytest

from federation.comparing import standing
from federation.model.errors import Invalid

HERE = os.getpid()
PARENT = os.getppid()


def test_processes_are_told_apart_by_name() -> None:
    text = f"controller={HERE}, controller-2={PARENT},host={HERE},m1={HERE},m1={PARENT},agent-m1={PARENT}"
    found = standing.pids(text, "host", ["m1"])
    assert found.controller == (HERE, PARENT)
    assert found.agents == (PARENT,)
    assert found.servers == {"host": (HERE,), "m1": (HERE, PARENT)}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("controller", "'controller' is not NAME=PID"),
        ("controller=x", "'controller=x' is not NAME=PID"),
        ("controller=999999999", "controller: there is no process 999999999 on this machine"),
        ("m9=HERE", "'m9' is none of controller, agent-NAME, host, m1"),
        ("controller=HERE,host=HERE", "the process of m1 is not named"),
        ("host=HERE,m1=HERE", "the process of controller is not named"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    """HERE is put in here: names of tests must be the same in every worker."""
    with pytest.raises(Invalid, match=says):
        standing.pids(text.replace("HERE", str(HERE)), "host", ["m1"])
