"""The soft limit of open files is raised as far as it may be."""

import resource

import pytest

from federation.runtime import openfiles

NONE = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param((1024, 20_000), (20_000, 20_000), id="raised"),
        pytest.param((20_000, 20_000), (20_000, 20_000), id="as-high-as-it-may-be"),
        pytest.param((256, NONE), (openfiles.SENSIBLE, NONE), id="no-hard-limit"),
        pytest.param((1 << 20, NONE), (1 << 20, NONE), id="never-lowered"),
        pytest.param((NONE, NONE), (NONE, NONE), id="no-limit"),
    ],
)
def test_raised_to_the_hard_limit(
    monkeypatch: pytest.MonkeyPatch, before: tuple[int, int], after: tuple[int, int]
) -> None:
    limits = before

    def change(_: int, wanted: tuple[int, int]) -> None:
        nonlocal limits
        limits = wanted

    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", change)
    assert openfiles.raise_limit() == limits == after


def test_a_limit_that_cannot_be_raised_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert openfiles.raise_limit() == (1024, 4096)
