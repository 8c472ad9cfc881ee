"""Members whose rights may be narrowed: those that are known to be what the user's context leads to."""

from contextlib import AsyncExitStack
from typing import Any, cast

import pytest

from federation.joining.errors import Refused
from federation.joining.fleet import Member
from federation.joining.reaching import Reach
from federation.migrating import narrowing


class Contexts:
    """A kubeconfig that has a context of every name; to whichever cluster it leads."""

    names = ("east",)

    def serving(self, server: str) -> list[str]:
        return []

    def lend(self, name: str) -> Any:
        pytest.fail("it is connected to")


async def test_a_context_of_the_same_name_is_not_trusted_where_no_identity_is_recorded() -> None:
    """KubeFed recorded none: until the controller has reached the member, a name alone would decide what is written."""
    reach = Reach(cast("Any", Contexts()), cast("Any", None), "kube-federation-system")
    async with AsyncExitStack() as lent:
        with pytest.raises(Refused, match="which cluster it is was never recorded"):
            await narrowing._own(reach, Member("east", "https://east:6443", "east-secret"), lent)
