"""kubectl's JSONPath templates. The first table is from its documentation, with the same document."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.cli import jsonpath
from federation.model.errors import Invalid

DOCUMENT: dict[str, Any] = {
    "kind": "List",
    "items": [
        {
            "kind": "None",
            "metadata": {"name": "127.0.0.1", "labels": {"kubernetes.io/hostname": "127.0.0.1"}},
            "status": {"capacity": {"cpu": "4"}, "addresses": [{"type": "LegacyHostIP", "address": "127.0.0.1"}]},
        },
        {
            "kind": "None",
            "metadata": {"name": "127.0.0.2"},
            "status": {
                "capacity": {"cpu": "8"},
                "addresses": [
                    {"type": "LegacyHostIP", "address": "127.0.0.2"},
                    {"type": "another", "address": "127.0.0.3"},
                ],
            },
        },
    ],
    "users": [{"name": "myself", "user": {}}, {"name": "e2e", "user": {"username": "admin", "password": "secret"}}],
    "numbers": [1, 2, 3, 4],
    "flag": True,
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("kind is {.kind}", "kind is List"),
        ("{.kind}", "List"),
        ("{['kind']}", "List"),
        ("{$.kind}", "List"),
        ("{@.kind}", "List"),
        ("{..name}", "127.0.0.1 127.0.0.2 myself e2e"),
        ("{.items[*].metadata.name}", "127.0.0.1 127.0.0.2"),
        ("{.users[0].name}", "myself"),
        ("{.users[-1].name}", "e2e"),
        ("{.items[*]['metadata', 'status'].name}", "127.0.0.1 127.0.0.2"),
        ('{.users[?(@.name=="e2e")].user.password}', "secret"),
        ("{range .items[*]}{.metadata.name} {.status.capacity};{end}", '127.0.0.1 {"cpu":"4"};127.0.0.2 {"cpu":"8"};'),
        ('{range .items[*]}{.metadata.name}{"\\t"}{.kind}{"\\n"}{end}', "127.0.0.1\tNone\n127.0.0.2\tNone\n"),
        ("{.items[0].metadata.labels.kubernetes\\.io/hostname}", "127.0.0.1"),
        ("{.numbers[1:3]}", "2 3"),
        ("{.numbers[::2]}", "1 3"),
        ("{.numbers[-2:]}", "3 4"),
        ("{.numbers[0,2]}", "1 3"),
        ("{.numbers[?(@>2)]}", "3 4"),
        ("{.items[?(@.status.capacity.cpu==\"8\")].metadata.name}", "127.0.0.2"),
        ("{.items[?(@.metadata.labels)].metadata.name}", "127.0.0.1"),
        ("{.flag}", "true"),
        ("{.nothing.at.all}", ""),
        ("{.numbers[9]}", ""),
        ("{.users[*].user.*}", "admin secret"),
        ("{.kind}{.flag}", "Listtrue"),
        ("{.kind .flag}", "Listtrue"),
        ("plain", "plain"),
        ("{range .items[*]}{range .status.addresses[*]}{.address},{end};{end}", "127.0.0.1,;127.0.0.2,127.0.0.3,;"),
    ],
)  # fmt: skip
def test_templates(template: str, expected: str) -> None:
    assert jsonpath.template(template).fill(DOCUMENT) == expected


@pytest.mark.parametrize(
    "template",
    ["{.a", "{range .a}", "{end}", "{.a[}", "{.a[?(@.b]}", "{.a[x]}", "{}}{", "{.a[::0]}", "{.a b c}", "{'open}"],
)
def test_what_is_none(template: str) -> None:
    with pytest.raises(Invalid):
        jsonpath.template(template)


@pytest.mark.parametrize("text", [".metadata.name", "metadata.name", "{.metadata.name}", "$.metadata.name"])
def test_a_path_with_braces_and_dot_or_without(text: str) -> None:
    assert jsonpath.path(text).find({"metadata": {"name": "web"}}) == ["web"]


_SIGNS = st.text("{}[]().,?@$*'\"\\:=<>!ab1- ", max_size=30)


@given(_SIGNS)
def test_any_text_is_a_template_or_invalid(text: str) -> None:
    with contextlib.suppress(Invalid):
        jsonpath.template(text).fill(DOCUMENT)


@given(st.integers(1, 200))
def test_deep_templates_end(depth: int) -> None:
    text = "{range .a}" * depth + "x" + "{end}" * depth
    try:
        jsonpath.template(text)
    except Invalid:
        assert depth > 30
