"""Whole lines of a stream, however it was cut into chunks; silence, breaks and endless lines end it."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.kube.lines import lines
from federation.kube.transport import Closed
from federation.model.failures import Failure
from tests.unit.virtualtime import virtual


async def stream(*steps: bytes | float | Exception) -> AsyncIterator[bytes]:
    """Chunks, with pauses in seconds and errors between them."""
    for step in steps:
        if isinstance(step, bytes):
            yield step
        elif isinstance(step, Exception):
            raise step
        else:
            await asyncio.sleep(step)


async def read(*steps: bytes | float | Exception, idle: float = 10.0, longest: int = 1000) -> list[bytes | str]:
    """Every line, and the kind of the failure that ended them."""
    return [
        line.kind.name if isinstance(line, Failure) else line async for line in lines(stream(*steps), idle, longest)
    ]


@pytest.mark.parametrize(
    ("steps", "seen"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([b"one\ntwo\n"], [b"one", b"two"], id="two-in-a-chunk"),
        pytest.param([b"o", b"n", b"e\nt", b"wo\n"], [b"one", b"two"], id="cut-anywhere"),
        pytest.param([b"one\ntw"], [b"one"], id="a-fragment-is-dropped"),
        pytest.param([b"\n\none\n\n"], [b"one"], id="empty-lines"),
        pytest.param([b"one\n", 9.9, b"two\n", 9.9, b"three\n"], [b"one", b"two", b"three"], id="just-in-time"),
        pytest.param([b"one\n", 10.1, b"two\n"], [b"one", "TIMED_OUT"], id="too-long-a-silence"),
        pytest.param([b"on", 10.1, b"e\n"], ["TIMED_OUT"], id="silence-in-a-line"),
        pytest.param([b"one\ntw", Closed()], [b"one", "UNREACHABLE"], id="connection-cut-in-a-line"),
        pytest.param([ConnectionResetError()], ["UNREACHABLE"], id="reset"),
    ],
)
def test_lines(steps: list[bytes | float | Exception], seen: list[bytes | str]) -> None:
    @virtual
    async def test() -> None:
        assert await read(*steps) == seen

    test()


@virtual
async def test_a_line_longer_than_any_object_ends_the_stream() -> None:
    assert await read(*[b"x" * 40] * 3, b"\nafter\n", longest=100) == ["UNEXPECTED"]
    assert await read(*[b"x" * 40] * 2, b"\nafter\n", longest=100) == [b"x" * 80, b"after"]


@given(st.binary(max_size=200), st.lists(st.integers(min_value=0, max_value=200), max_size=8))
def test_chunks_do_not_matter(content: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    chunks = [content[start:end] for start, end in itertools.pairwise(places)]
    expected = [line for line in content.split(b"\n")[:-1] if line]

    async def test() -> None:
        assert await read(*chunks) == expected

    asyncio.run(test())
