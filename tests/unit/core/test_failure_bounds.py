"""Text that a member makes up costs no more than its length, whatever it repeats: cut first, then searched once.

Each text repeats what one of the patterns begins with and never ends it. With the cut taken away, eight times as much
text must cost about eight times the work; a pattern that looks for its end from each of its beginnings costs 64 times.
"""

import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import classification, scrubbing
from federation.model import bounds
from federation.model.failures import FailureKind

JSON = "application/json"
REPEATED = [
    "Too long: ",
    'admission webhook "',
    "ValidatingAdmissionPolicy 'x' ",
    'User "x" cannot get ',
    'conflict with "',
    'conflict with "\\',
    "-----BEGIN x-----",
    "-----BEGIN ",
    "Invalid value: ",
    "Invalid value: *",
    "Invalid value: [x]",
    "Invalid value: interface {}",
    "got a",
    "*",
    "&*",
    "[]",
    "interface {}",
    "{",
    "map[",
    '{"',
    '"',
    "\\",
    '"\\',
    "`",
    "://",
    "://a",
    "bearer ",
    "token=",
    "eyJaaaaaaa.",
    "a=",
    "abcdef0123",
    "): .",
    "a" * 50,
    " ",
    "\n+",
    "\u202e",
    "\ud800",
]


def _status(message: str, code: int = 422, **details: Any) -> bytes:
    body = {"kind": "Status", "code": code, "message": message, "reason": "Invalid", "details": details}
    return orjson.dumps(body)


def _cost(text: str) -> float:
    """CPU seconds of making a Failure of it, the least of three tries."""
    costs = []
    for _ in range(3):
        began = time.process_time()
        for code in (403, 409, 422, 500):
            classification._kind(code, "", classification._searched(text), {}, [], namespaces=False)
        for secret in (True, False):
            scrubbing.scrub(text, secret=secret)
            scrubbing.field(text, secret=secret)
        costs.append(time.process_time() - began)
    return min(costs)


@pytest.mark.parametrize("beginning", ["", "Invalid value: "])
@pytest.mark.parametrize("repeated", REPEATED)
def test_eight_times_the_text_is_about_eight_times_the_work(
    repeated: str, beginning: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "LONGEST_TEXT", 1 << 30)
    size = 2_000
    small = _cost((beginning + repeated * size)[:size])
    large = _cost((beginning + repeated * size * 8)[: size * 8])
    assert large < 30 * small + 0.02


@pytest.mark.parametrize("repeated", REPEATED)
def test_a_message_of_a_megabyte_costs_what_a_short_one_costs(repeated: str) -> None:
    text = repeated * ((1 << 20) // len(repeated))
    assert _cost(text) < 1.0
    assert len(scrubbing.scrub(text, secret=False)) <= bounds.LONGEST_SHOWN


def test_of_many_managers_and_fields_few_are_named() -> None:
    causes = [
        {"field": f".data.x{at}", "reason": "FieldManagerConflict", "message": f'conflict with "m{at:02}{"y" * 200}"'}
        for at in range(90)
    ]
    failure = classification.classify(409, JSON, _status("many", 409, causes=causes), secret=False)
    assert failure.kind is FailureKind.FIELD_CONFLICT
    assert failure.message.startswith("conflict with m00y")
    assert "and 85 more" in failure.message
    assert len(failure.message) < 1_000


def test_only_the_first_causes_are_looked_at() -> None:
    cause = {"field": ".data.x", "reason": "FieldManagerConflict", "message": 'conflict with "somebody"' + "y" * 100}
    body = _status("many", 409, causes=[{**cause, "field": f".data.x{index}"} for index in range(100_000)])
    failure = classification.classify(409, JSON, orjson.dumps({**orjson.loads(body)}), secret=False)
    assert failure.kind in {FailureKind.FIELD_CONFLICT, FailureKind.VERSION_CONFLICT}  # the second: its body is cut
    small = _status("many", 409, causes=[{**cause, "field": f".data.x{index}"} for index in range(2_000)])
    failure = classification.classify(409, JSON, small, secret=False)
    assert failure.kind is FailureKind.FIELD_CONFLICT
    assert len(failure.causes) == bounds.MOST_CAUSES
    assert len(failure.message) <= 1000


@pytest.mark.parametrize(
    ("code", "kind"),
    [(400, FailureKind.INVALID), (409, FailureKind.VERSION_CONFLICT), (422, FailureKind.INVALID)],
)
def test_a_refusal_that_quotes_more_than_is_read_still_means_what_its_code_says(code: int, kind: FailureKind) -> None:
    whole = _status('ConfigMap "c" is invalid: data[x]: Invalid value: "' + "v" * (2 << 20) + '": no', code)
    failure = classification.classify(code, JSON, whole[: bounds.LARGEST_ERROR], secret=False)
    assert failure.kind is kind
    assert failure.message.startswith('ConfigMap "c" is invalid: data[x]: Invalid value: …')


def test_a_meaning_that_stands_at_the_end_of_a_long_message_is_found() -> None:
    message = 'ConfigMap "c" is invalid: []: ' + "x" * 50_000 + " Too long: may not be more than 1048576 bytes"
    assert classification.classify(422, JSON, _status(message), secret=False).kind is FailureKind.TOO_LARGE


@pytest.mark.parametrize(
    ("header", "detail", "seconds"),
    [
        pytest.param("0", None, bounds.SHORTEST_WAIT, id="a-floor"),
        pytest.param("000", None, bounds.SHORTEST_WAIT, id="zeros"),
        pytest.param("31536000", None, bounds.LONGEST_WAIT, id="a-ceiling"),
        pytest.param("9" * 5000, None, bounds.LONGEST_WAIT, id="five-thousand-digits"),
        pytest.param("٣", None, None, id="digits-of-another-script"),
        pytest.param("1.5", None, None, id="not-whole"),
        pytest.param("-7", None, None, id="negative"),
        pytest.param("NaN", None, None, id="not-a-number"),
        pytest.param(None, 10**17, bounds.LONGEST_WAIT, id="a-huge-detail"),
        pytest.param(None, -3, None, id="a-negative-detail"),
        pytest.param(None, 1e300, None, id="a-detail-that-is-not-whole"),
        pytest.param(None, True, None, id="a-detail-that-is-no-number"),
        pytest.param("", 2, 2.0, id="an-empty-header"),
    ],
)
def test_every_wait_that_a_server_asks_for_has_a_floor_and_a_ceiling(
    header: str | None, detail: Any, seconds: float | None
) -> None:
    body = _status("slow down", 429, retryAfterSeconds=detail)
    assert classification.classify(429, JSON, body, secret=False, retry_after=header).retry_after == seconds


@given(st.text(max_size=400))
def test_a_word_from_outside_is_one_printable_line(text: str) -> None:
    said = scrubbing.line(text, 50)
    assert len(said) <= 50
    assert said.isprintable()
    said.encode()  # no halves of surrogate pairs
