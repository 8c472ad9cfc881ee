"""Selectors as kubectl's -l takes them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.model.errors import Invalid
from federation.seeing import labels


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier", True),
        ("app!=web", False),
        ("none!=x", True),
        ("app in (web, db)", True),
        ("app notin (web)", False),
        ("tier", True),
        ("!tier", False),
        ("! none,app=web", True),
        ("example.com/part-of=shop", True),
        ("app=", False),
    ],
)
def test_what_is_selected(text: str, selected: bool) -> None:
    found = {"app": "web", "tier": "front", "example.com/part-of": "shop"}
    assert labels.matcher(text)(found) is selected


@pytest.mark.parametrize("text", ["app=web,", "=x", "app in", "a b", "app=web tier", "a>1", "(x)", "app=a/b"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(Invalid):
        labels.matcher(text)


@given(st.text(max_size=40))
def test_any_text_is_a_selector_or_invalid(text: str) -> None:
    with contextlib.suppress(Invalid):
        labels.matcher(text)({"a": "b"})
