"""What `wait` waits for, of one object as the hub has it."""

from typing import Any

import pytest

from federation.seeing import waiting


def made(generation: int = 2, observed: int | None = 2, **conditions: Any) -> dict[str, Any]:
    listed = [{"type": kind, "status": status, "message": "m"} for kind, status in conditions.items()]
    return {
        "metadata": {"name": "web", "generation": generation},
        "status": {"observedGeneration": observed, "conditions": listed},
    }


@pytest.mark.parametrize(
    ("found", "met"),
    [
        (made(Ready="True"), True),
        (made(Ready="False"), False),
        (made(observed=1, Ready="True"), False),
        (made(), False),
        (None, False),
        ({"metadata": {"name": "web", "generation": 1}}, False),
        ({"metadata": {"name": "web"}, "status": {"conditions": "odd"}}, False),
    ],
)
async def test_propagated(found: Any, met: bool) -> None:
    look = await waiting.propagated(found)
    assert look.met is met
    assert met or look.seen


async def test_a_condition_of_an_older_generation_does_not_count() -> None:
    found = made(Stalled="True")
    check = waiting.condition("stalled")
    assert (await check(found)).met
    found["status"]["conditions"][0]["observedGeneration"] = 1
    look = await check(found)
    assert not look.met
    assert "generation 1" in look.seen


async def test_gone_and_there() -> None:
    assert (await waiting.gone(None)).met
    look = await waiting.gone({"metadata": {"name": "web", "deletionTimestamp": "2026-01-01T00:00:00Z"}})
    assert not look.met
    assert "2026" in look.seen
    assert (await waiting.there(made())).met
    assert not (await waiting.there(None)).met
