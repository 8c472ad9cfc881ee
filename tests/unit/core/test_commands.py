"""What the commands of push say of themselves: whoever paces, reports or holds them asks nothing else."""

from dataclasses import replace

import pytest

from federation.model.plan import Aim, Apply, Claim, Command, Compare, Delete, Recreation, Release
from federation.model.policies import Takeover

CREATE = Apply(b"{}", "digest", "v1")
UPDATE = replace(CREATE, uid="u1")
COMPARE = Compare("u1", b"{}", "digest", "owned", "v1")
CLAIM = Claim("u1", "kubefed-other")


@pytest.mark.parametrize(
    ("command", "aim", "traces"),
    [
        pytest.param(CREATE, Aim.CREATE, True, id="create"),
        pytest.param(replace(CREATE, restores=True), Aim.CREATE, False, id="restored-where-it-is"),
        pytest.param(UPDATE, Aim.UPDATE, False, id="update"),
        pytest.param(COMPARE, Aim.COMPARE, False, id="compare"),
        pytest.param(CLAIM, Aim.CLAIM, True, id="claim"),
        pytest.param(Delete("u1"), Aim.REMOVE, False, id="delete"),
        pytest.param(Delete(""), Aim.REMOVE, False, id="delete-whatever-is-there"),
        pytest.param(Release("u1", keep_label=True), Aim.REMOVE, False, id="release"),
    ],
)
def test_what_it_is_for(command: Command, aim: Aim, traces: bool) -> None:
    assert (command.aim, command.leaves_traces) == (aim, traces)


def test_what_makes_a_command_another_one() -> None:
    """Each differs from each; what is only more exact about the same write does not make another."""
    different: list[Command] = [
        CREATE,
        replace(CREATE, digest="other"),
        replace(CREATE, create_only=True),
        replace(CREATE, create_only=True, takeover=Takeover.NEVER),
        replace(UPDATE, recreation=Recreation()),
        replace(UPDATE, recreation=Recreation(never="it has contents")),
        COMPARE,
        replace(COMPARE, owned_digest="other"),
        CLAIM,
        Delete("u1"),
    ]
    assert len({command.identity for command in different}) == len(different)
    assert CREATE.identity == UPDATE.identity == replace(UPDATE, changed=True).identity
    assert Delete("u1").identity == Release("u1").identity


@pytest.mark.parametrize(
    ("command", "applied", "repeats"),
    [
        (UPDATE, "digest", True),
        (CREATE, "digest", True),
        (UPDATE, "other", False),
        (UPDATE, "", False),
        (CLAIM, "", True),
        (COMPARE, "digest", False),
        (Delete("u1"), "digest", False),
    ],
)
def test_what_only_puts_back_what_was_there(command: Command, applied: str, repeats: bool) -> None:
    assert command.repeats(applied) is repeats


def test_a_claim_stands_whatever_comes_of_it() -> None:
    assert CLAIM.standing == "another hub manages it (kubefed-other)"
    assert not any(command.standing for command in (CREATE, UPDATE, COMPARE, Delete("u1"), Release("u1")))
