"""Responses parsed from bytes in any pieces: every framing of HTTP/1.1, limits, and servers that lie."""

import itertools
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.kube.answers import BODY, DONE, FAILED, HEAD, LARGEST_HEAD, MOST_HEADERS, Answers
from federation.model import bounds

LARGEST = 1_000


class Seen(NamedTuple):
    stage: int
    status: int = 0
    body: bytes = b""
    reusable: bool = False
    packed: bool = False
    too_long: bool = False


def feed(content: bytes, cuts: list[int] | None = None, *, largest: int = LARGEST) -> Answers:
    """The state after one response is expected and these bytes came."""
    answers = Answers()
    answers.expect(largest)
    places = sorted({0, len(content), *(cut % (len(content) + 1) for cut in cuts or [])})
    for start, end in itertools.pairwise(places):
        answers.feed(content[start:end])
    return answers


def seen(answers: Answers) -> Seen:
    if answers.stage == FAILED:
        return Seen(FAILED)  # no more is read then
    status = answers.status if answers.stage >= BODY else 0
    body = answers.body if answers.stage == DONE else b""
    return Seen(answers.stage, status, body, answers.reusable, answers.packed, answers.too_long)


def response(*headers: str, status: str = "200 OK", body: bytes = b"", version: str = "1.1") -> bytes:
    return "\r\n".join([f"HTTP/{version} {status}", *headers, "", ""]).encode("latin-1") + body


def chunked(*pieces: bytes, trailers: str = "", extension: str = "") -> bytes:
    parts = [f"{len(piece):x}{extension}\r\n".encode() + piece + b"\r\n" for piece in pieces if piece]
    return b"".join(parts) + f"0\r\n{trailers}\r\n".encode()


CHUNKS = "Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(response("Content-Length: 2", body=b"ok"), Seen(DONE, 200, b"ok", True), id="length"),
        pytest.param(response("Content-Length: 0"), Seen(DONE, 200, b"", True), id="empty"),
        pytest.param(response("Content-Length:", "Content-Length: 2", body=b"ok"), Seen(FAILED), id="no-length"),
        pytest.param(response(CHUNKS, body=chunked(b"o", b"k")), Seen(DONE, 200, b"ok", True), id="chunks"),
        pytest.param(
            response("transfer-encoding: Chunked", body=chunked(b"ok")), Seen(DONE, 200, b"ok", True), id="case"
        ),
        pytest.param(
            response(CHUNKS, body=chunked(b"ok", trailers="Retry-After: 9\r\nX: y\r\n", extension=";a=b")),
            Seen(DONE, 200, b"ok", True),
            id="trailers-and-extensions",
        ),
        pytest.param(response(body=b"ok"), Seen(BODY, 200), id="until-close"),
        pytest.param(response(status="204 No Content"), Seen(DONE, 204, b"", True), id="204"),
        pytest.param(response(status="304 Not Modified"), Seen(DONE, 304, b"", True), id="304"),
        pytest.param(
            response("Connection: close", "Content-Length: 2", body=b"ok"), Seen(DONE, 200, b"ok"), id="close"
        ),
        pytest.param(response("Content-Length: 2", body=b"ok", version="1.0"), Seen(DONE, 200, b"ok"), id="1.0"),
        pytest.param(
            response(status="100 Continue")
            + response("Content-Length: 9", status="103 Early Hints")
            + response("Content-Length: 2", body=b"ok"),
            Seen(DONE, 200, b"ok", True),
            id="interim",
        ),
        pytest.param(response(status="100 Continue"), Seen(HEAD), id="only-interim"),
        pytest.param(response(status="101 Switching Protocols"), Seen(FAILED), id="upgrade"),
        pytest.param(response("Connection: upgrade", "Upgrade: x", status="101 S"), Seen(FAILED), id="upgrade-named"),
        pytest.param(response("Content-Length: 5", body=b"ok"), Seen(BODY, 200, b"", True), id="incomplete"),
        pytest.param(response("Content-Length: 1", "Content-Length: 1", body=b"x"), Seen(FAILED), id="two-lengths"),
        pytest.param(response("Content-Length: 1", CHUNKS, body=chunked(b"x")), Seen(FAILED), id="length-and-chunks"),
        pytest.param(response("Content-Length: -1"), Seen(FAILED), id="negative"),
        pytest.param(response("Content-Length: 1,1", body=b"x"), Seen(FAILED), id="lengths-in-one"),
        pytest.param(response(f"Content-Length: {'9' * 30}"), Seen(FAILED), id="overflow"),
        pytest.param(response("Transfer-Encoding: gzip", body=b"x"), Seen(FAILED), id="coding"),
        pytest.param(response("Transfer-Encoding: gzip, chunked", body=chunked(b"x")), Seen(FAILED), id="two-codings"),
        pytest.param(
            response("Transfer-Encoding: chunked, gzip", body=chunked(b"x")), Seen(FAILED), id="chunks-inside"
        ),
        pytest.param(response(CHUNKS, body=b"zz\r\nx"), Seen(FAILED), id="no-chunk-size"),
        pytest.param(response(CHUNKS, body=b"-1\r\nx"), Seen(FAILED), id="negative-chunk"),
        pytest.param(response(CHUNKS, body=b"FFFFFFFFFFFFFFFFFF\r\nx"), Seen(FAILED), id="chunk-overflow"),
        pytest.param(response(CHUNKS, body=b"1\r\nxx\r\n"), Seen(FAILED), id="chunk-longer-than-it-says"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", Seen(FAILED), id="ssh"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 1\n\nx", Seen(FAILED), id="bare-line-feeds"),
        pytest.param(response("Content-Length : 1", body=b"x"), Seen(FAILED), id="space-in-name"),
        pytest.param(response("X: a\x00b"), Seen(FAILED), id="control-character"),
        pytest.param(response("Content-Length: 0", status="000 OK"), Seen(FAILED), id="status-0"),
        pytest.param(
            response("Content-Encoding: gzip", "Content-Length: 2", body=b"ok"),
            Seen(DONE, 200, b"", False, True),
            id="packed",
        ),
        pytest.param(
            response("Content-Encoding: Identity", "Content-Length: 2", body=b"ok"),
            Seen(DONE, 200, b"ok", True),
            id="not-packed",
        ),
        pytest.param(response("Content-Length: 1001"), Seen(DONE, 200, b"", False, False, True), id="too-long"),
        pytest.param(
            response(CHUNKS, body=chunked(b"x" * 600, b"x" * 401)),
            Seen(DONE, 200, b"", False, False, True),
            id="too-long-in-chunks",
        ),
        pytest.param(
            response("Content-Length: 1000", body=b"x" * 1000),
            Seen(DONE, 200, b"x" * 1000, True),
            id="as-long-as-may-be",
        ),
        pytest.param(
            response("Content-Length: 2", body=b"okHTTP/1.1 200 OK\r\n"), Seen(DONE, 200, b"ok"), id="more-than-asked"
        ),
    ],
)
def test_what_a_response_is(content: bytes, expected: Seen) -> None:
    assert seen(feed(content)) == expected
    assert seen(feed(content, list(range(len(content))))) == expected  # byte by byte


def test_an_error_response_is_kept_as_far_as_it_is_read() -> None:
    body = b"y" * (bounds.LARGEST_ERROR + 5)
    answers = feed(response(f"Content-Length: {len(body)}", "Retry-After: 7", status="422 No", body=body))
    assert (answers.stage, answers.status, answers.reusable) == (DONE, 422, False)
    assert answers.body == body[: bounds.LARGEST_ERROR]
    assert answers.retry_after == "7"


def test_a_body_may_end_with_the_connection() -> None:
    answers = feed(response(body=b"ok"))
    assert answers.end(clean=True)
    assert (answers.stage, answers.body, answers.reusable) == (DONE, b"ok", False)


@pytest.mark.parametrize(
    "content", [b"", response(CHUNKS, body=b"1\r\nx\r\n"), response("Content-Length: 2", body=b"o")]
)
def test_the_end_does_not_complete_what_has_a_length(content: bytes) -> None:
    assert not feed(content).end(clean=True)


def test_an_end_that_nobody_vouches_for_completes_nothing() -> None:
    assert not feed(response(body=b"ok")).end(clean=False)


def test_one_connection_has_many_responses() -> None:
    answers = Answers()
    for status in ("200 OK", "404 Not Found", "201 Created"):
        answers.expect(LARGEST)
        assert not answers.received
        answers.feed(response("Content-Length: 2", f"Retry-After: {status[:3]}", status=status, body=b"ok"))
        assert (answers.stage, answers.status, answers.body) == (DONE, int(status[:3]), b"ok")
        assert (answers.received, answers.reusable, answers.retry_after) == (True, True, status[:3])


def test_what_comes_unasked_ends_the_connection() -> None:
    answers = feed(response("Content-Length: 2", body=b"ok"))
    assert answers.reusable
    answers.feed(response("Content-Length: 3", body=b"bad"))
    assert (answers.stage, answers.body, answers.reusable, bool(answers.problem)) == (DONE, b"ok", False, True)
    fresh = Answers()
    fresh.feed(response("Content-Length: 2", body=b"ok"))
    assert fresh.stage == FAILED


def test_a_tunnel_begins_after_the_head() -> None:
    answers = Answers()
    answers.expect(0, tunnel=True)
    answers.feed(response("Content-Length: 9"))
    assert (answers.stage, answers.status, answers.problem) == (DONE, 200, "")
    early = Answers()
    early.expect(0, tunnel=True)
    early.feed(response(body=b"early"))
    assert early.problem


def test_a_watch_goes_to_its_sink_and_a_refusal_does_not() -> None:
    pieces: list[bytes] = []
    answers = Answers()
    answers.expect(10, sink=pieces.append)
    answers.feed(response(CHUNKS, body=b"14\r\n" + b"x" * 20 + b"\r\n"))
    assert (answers.stage, b"".join(pieces)) == (BODY, b"x" * 20)
    answers.feed(b"0\r\n\r\n")
    assert (answers.stage, answers.reusable, answers.body) == (DONE, True, b"")
    answers.expect(10, sink=pieces.append)
    answers.feed(response("Content-Length: 4", status="410 Gone", body=b"gone"))
    assert (answers.body, b"".join(pieces)) == (b"gone", b"x" * 20)


# --- limits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param((b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), id="headers"),
        pytest.param((b"HTTP/1.1 200 OK\r\nX: ", b"y"), id="one-header"),
        pytest.param((b"HTTP/1.1 200 OK\r\n", b"x"), id="one-name"),
        pytest.param((b"HTTP/1.1 200 ", b"OK"), id="status-line"),
        pytest.param((b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="interim"),
        pytest.param((response(CHUNKS) + b"1;", b"x"), id="chunk-extension"),
        pytest.param((response(CHUNKS) + b"1\r\nx\r\n0\r\nX: ", b"y"), id="one-trailer"),
        pytest.param((response(CHUNKS) + b"1\r\nx\r\n0\r\n", b"X: y\r\n"), id="trailers"),
        pytest.param((b"", b"\r\n"), id="empty-lines"),
    ],
)
def test_nothing_goes_on_without_a_body_for_ever(piece: tuple[bytes, bytes]) -> None:
    start, more = piece
    answers = feed(start)
    sent = 0
    while answers.stage != FAILED:
        answers.feed(more * (1024 // len(more)))
        sent += 1024
        assert sent <= 2 * LARGEST_HEAD
    assert answers.problem


def test_as_many_headers_as_may_be() -> None:
    headers = [f"X-{number}: y" for number in range(MOST_HEADERS - 1)]
    assert seen(feed(response(*headers, "Content-Length: 0"))).stage == DONE
    assert seen(feed(response("X: y", *headers, "Content-Length: 0"))).stage == FAILED


def test_a_body_of_tiny_chunks_takes_no_more_memory_than_it_has_bytes() -> None:
    import tracemalloc  # noqa: PLC0415 - for this test alone

    content = response(CHUNKS) + b"2\r\nxy\r\n" * 200_000
    tracemalloc.start()
    answers = Answers()
    answers.expect(1 << 20)
    for start in range(0, len(content), 1 << 14):
        answers.feed(content[start : start + (1 << 14)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answers.stage == BODY
    assert peak < 2 << 20


# --- any bytes --------------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)
BODIES = st.binary(max_size=60)


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    status = draw(st.sampled_from(["200 OK", "201 Created", "404 Not Found", "500 X", "204 No Content"]))
    headers = [f"X-{name}: {value}" for name, value in draw(st.lists(st.tuples(st.integers(0, 9), TEXTS), max_size=5))]
    pieces = draw(st.lists(BODIES, max_size=4))
    body = b"".join(pieces)
    framing = draw(st.sampled_from(["length", "chunks", "close"]))
    if status.startswith("204"):
        body = b""
    elif framing == "length":
        headers.append(f"Content-Length: {len(body)}")
    elif framing == "chunks":
        headers.append(CHUNKS)
        body = chunked(*pieces, trailers=draw(st.sampled_from(["", "X: y\r\n"])))
    interim = draw(st.sampled_from([b"", response(status="100 Continue"), response("X: y", status="103 Hints")]))
    return interim + response(*headers, status=status, body=body)


CUTS = st.lists(st.integers(0, 400), max_size=12)


@given(responses(), CUTS)
def test_pieces_do_not_matter(content: bytes, cuts: list[int]) -> None:
    whole = seen(feed(content))
    assert whole.stage in (DONE, BODY)
    assert seen(feed(content, cuts)) == whole


@given(responses(), CUTS, st.lists(st.tuples(st.integers(0, 400), BODIES), min_size=1, max_size=3))
def test_whatever_comes_it_is_no_exception_and_the_same_in_pieces(
    content: bytes, cuts: list[int], changes: list[tuple[int, bytes]]
) -> None:
    for place, change in changes:
        place %= len(content) + 1  # noqa: PLW2901
        content = content[:place] + change + content[place + len(change) // 2 :]
    whole = feed(content)
    cut = feed(content, cuts)
    assert seen(cut) == seen(whole)
    assert whole.stage != FAILED or whole.problem
    whole.end(clean=True)


@given(st.binary(max_size=300), CUTS)
def test_any_bytes(content: bytes, cuts: list[int]) -> None:
    assert seen(feed(content, cuts)) == seen(feed(content))
